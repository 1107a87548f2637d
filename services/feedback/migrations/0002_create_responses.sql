set lock_timeout = '4s';

-- Answers, their words included. A ledger: appended, by the month in which a row was written. Which ids are taken is
-- known by `seen`, so that no unique key is needed across partitions.
create table responses (
    tenant_id uuid not null,
    response_id text not null,
    recorded_at timestamptz not null,
    received_at timestamptz not null,
    occurred_at timestamptz not null,
    history boolean not null,
    customer_id text,
    survey text,
    metric text not null,
    kind text not null,
    scale text not null,
    score smallint,
    verbatim text,
    moment text,
    channel text,
    solicited boolean,
    invitation_id text,
    activity_id text,
    staff_id text,
    contact_ok boolean,
    primary key (tenant_id, response_id, recorded_at)
) partition by range (recorded_at);
create table responses_default partition of responses default;
alter table responses enable row level security;
alter table responses force row level security;
alter table responses_default enable row level security;
alter table responses_default force row level security;
create policy tenant on responses to ${service}_app
    using (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
    with check (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
create index responses_occurred on responses (tenant_id, occurred_at, response_id);
create index responses_customer on responses (tenant_id, customer_id, occurred_at, response_id)
    where customer_id is not null;
grant select, insert on responses to ${service}_app;
