set lock_timeout = '4s';

-- What is shown of a customer beside the partner's own fields: copies of what the services last said, in any order.
create table views (
    tenant_id uuid not null,
    customer_id text collate "C" not null,
    -- The latest answer, and the latest scored NPS answer: by time, then id.
    response_id text collate "C",
    response_metric text,
    response_score smallint,
    response_at timestamptz,
    feedback_as_of timestamptz,
    nps_id text collate "C",
    nps_score smallint,
    nps_at timestamptz,
    -- The score, by version.
    score_version bigint,
    score_value double precision,
    score_satisfaction double precision,
    score_loyalty double precision,
    score_advocacy double precision,
    score_influence double precision,
    score_model text,
    score_as_of timestamptz,
    primary key (tenant_id, customer_id)
) with (fillfactor = 80);
create index views_score on views (tenant_id, score_value, customer_id) where score_value is not null;
alter table views enable row level security;
alter table views force row level security;
create policy tenant on views to ${service}_app
    using (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
    with check (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
grant select, insert, update on views to ${service}_app;

-- The customers' cases as feedback last told of them, by version.
create table customer_cases (
    tenant_id uuid not null,
    case_id text collate "C" not null,
    customer_id text collate "C" not null,
    is_open boolean not null,
    opened_at timestamptz not null,
    changed_at timestamptz not null,
    version bigint not null,
    primary key (tenant_id, case_id)
);
create index customer_cases_customer on customer_cases (tenant_id, customer_id, opened_at, case_id);
alter table customer_cases enable row level security;
alter table customer_cases force row level security;
create policy tenant on customer_cases to ${service}_app
    using (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
    with check (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
grant select, insert, update on customer_cases to ${service}_app;
