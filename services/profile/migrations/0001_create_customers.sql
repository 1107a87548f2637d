set lock_timeout = '4s';

-- Who the customers are. A row with version 0 and known = false is a stub: only facts speak of it.
create table customers (
    tenant_id uuid not null,
    customer_id text collate "C" not null,
    name text,
    email text,
    phone text,
    locale text,
    timezone text,
    account_id text collate "C",
    role text,
    preferred_channel text,
    acquired_at timestamptz,
    goals jsonb,
    traits jsonb,
    identities jsonb not null default '[]',
    source text,
    source_updated_at timestamptz,
    known boolean not null default false,
    archived_at timestamptz,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    version bigint not null default 0,
    primary key (tenant_id, customer_id)
);
create index customers_updated on customers (tenant_id, updated_at, customer_id);
create index customers_account on customers (tenant_id, account_id, customer_id) where account_id is not null;
create index customers_archived on customers (tenant_id, customer_id) where archived_at is not null;
alter table customers enable row level security;
alter table customers force row level security;
create policy tenant on customers to ${service}_app
    using (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
    with check (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
grant select, insert, update on customers to ${service}_app;

-- What customers are found by. Only plain comparisons reach an index under row-level security, so a search is a range
-- of tokens, never a pattern.
create table customer_tokens (
    tenant_id uuid not null,
    token text collate "C" not null,
    customer_id text collate "C" not null,
    primary key (tenant_id, token, customer_id)
);
alter table customer_tokens enable row level security;
alter table customer_tokens force row level security;
create policy tenant on customer_tokens to ${service}_app
    using (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
    with check (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
grant select, insert, delete on customer_tokens to ${service}_app;
