set lock_timeout = '4s';

-- What people say in public, their words and names included. A ledger, kept as `responses` is.
create table mentions (
    tenant_id uuid not null,
    mention_id text not null,
    recorded_at timestamptz not null,
    received_at timestamptz not null,
    occurred_at timestamptz not null,
    history boolean not null,
    customer_id text,
    site text,
    author text,
    text text,
    reach bigint,
    campaign text,
    primary key (tenant_id, mention_id, recorded_at)
) partition by range (recorded_at);
create table mentions_default partition of mentions default;
alter table mentions enable row level security;
alter table mentions force row level security;
alter table mentions_default enable row level security;
alter table mentions_default force row level security;
create policy tenant on mentions to ${service}_app
    using (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
    with check (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
create index mentions_occurred on mentions (tenant_id, occurred_at, mention_id);
create index mentions_customer on mentions (tenant_id, customer_id, occurred_at, mention_id)
    where customer_id is not null;
create index mentions_campaign on mentions (tenant_id, campaign, occurred_at, mention_id)
    where campaign is not null;
grant select, insert on mentions to ${service}_app;
