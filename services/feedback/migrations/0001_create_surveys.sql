set lock_timeout = '4s';

-- The questions that are asked. A thing: upserted, archived, never gone.
create table surveys (
    tenant_id uuid not null,
    key text not null,
    metric text not null check (metric in ('nps', 'csat', 'ces')),
    kind text check (kind in ('relationship', 'transactional')),
    scale text,
    question text,
    follow_up text,
    locales text[] not null,
    moment text,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    archived_at timestamptz,
    primary key (tenant_id, key)
);
alter table surveys enable row level security;
alter table surveys force row level security;
create policy tenant on surveys to ${service}_app
    using (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
    with check (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
grant select, insert, update on surveys to ${service}_app;
