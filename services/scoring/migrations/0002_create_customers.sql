set lock_timeout = '4s';

-- Whom scoring has heard of, from profile or only by a fact without a signal; the others are known by their signals.
create table customers (
    tenant_id uuid not null,
    customer_id text not null,
    -- Profile's version of what follows, last write wins; 0 while only facts speak of the customer.
    version bigint not null,
    known boolean not null,
    account_id text,
    acquired_at timestamptz,
    archived_at timestamptz,
    locale text,
    timezone text,
    preferred_channel text,
    primary key (tenant_id, customer_id)
);
alter table customers enable row level security;
alter table customers force row level security;
create policy tenant on customers to ${service}_app
    using (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
    with check (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
grant select, insert, update on customers to ${service}_app;

-- The score as it was last told to the others: not the score, which is computed from the ledger.
create table scores (
    tenant_id uuid not null,
    customer_id text not null,
    value_micros int,
    satisfaction_micros bigint not null,
    loyalty_micros bigint not null,
    advocacy_micros bigint not null,
    influence_micros bigint not null,
    model_version text not null,
    as_of timestamptz not null,
    -- Grows by one with every ScoreChanged.
    version bigint not null,
    primary key (tenant_id, customer_id)
);
alter table scores enable row level security;
alter table scores force row level security;
create policy tenant on scores to ${service}_app
    using (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
    with check (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
grant select, insert, update on scores to ${service}_app;
