set lock_timeout = '4s';

-- Who uses this installation. A tenant is live or test for ever.
create table tenants (
    tenant_id uuid not null,
    name text not null,
    live boolean not null,
    created_at timestamptz not null,
    primary key (tenant_id)
);
alter table tenants enable row level security;
alter table tenants force row level security;
create policy tenant on tenants to ${service}_app
    using (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
    with check (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
grant select, insert on tenants to ${service}_app;

-- What opens the API. Of the secret only a keyed digest is kept.
create table api_keys (
    tenant_id uuid not null,
    key_id text not null,
    name text not null,
    scopes text[] not null,
    digest bytea not null,
    created_at timestamptz not null,
    expires_at timestamptz,
    revoked_at timestamptz,
    rotated_to text,
    primary key (tenant_id, key_id)
);
create unique index api_keys_key_id on api_keys (key_id);
alter table api_keys enable row level security;
alter table api_keys force row level security;
create policy tenant on api_keys to ${service}_app
    using (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
    with check (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
-- The look-up below runs before the tenant is known, as the owner, whom row-level security binds too.
create policy look_up on api_keys for select to ${service}_owner using (true);
grant select, insert, update on api_keys to ${service}_app;

create function find_api_key(wanted text) returns table (tenant_id uuid, key_id text)
language sql stable security definer set search_path = pg_catalog, public as $$
    select k.tenant_id, k.key_id from public.api_keys k where k.key_id = wanted
$$;
revoke execute on function find_api_key(text) from public;
grant execute on function find_api_key(text) to ${service}_app;
