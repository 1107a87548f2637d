set lock_timeout = '4s';

-- The rules under which customers refer friends.
create table programs (
    tenant_id uuid not null,
    key text not null,
    name text not null,
    state text not null check (state in ('draft', 'published', 'halted')),
    -- Everything else that the partner set: the message in protobuf's JSON, read-only fields left out.
    definition jsonb not null,
    version bigint not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    archived_at timestamptz,
    primary key (tenant_id, key)
);
alter table programs enable row level security;
alter table programs force row level security;
create policy tenant on programs to ${service}_app
    using (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
    with check (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
grant select, insert, update on programs to ${service}_app;
