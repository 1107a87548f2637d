set lock_timeout = '4s';

-- Everything a score is made of, one row a signal, whole micro-points. Appended, never altered.
-- Fixed widths first: no padding. Read by customer, in each month's partition; what keeps it free of repeats is `seen`.
create table signals (
    tenant_id uuid not null,
    recorded_at timestamptz not null,
    occurred_at timestamptz not null,
    -- When the signal was first true and known: `occurred_at`, or the time of receipt where that is earlier.
    counts_from timestamptz not null,
    -- The UTC day of `occurred_at`: weights are summed by day, then decayed.
    day date not null,
    weight_micros int not null,
    dimension smallint not null,
    customer_id text not null,
    signal text not null,
    source_kind text not null,
    source_id text not null
) partition by range (recorded_at);
create table signals_default partition of signals default;
create index signals_customer on signals (tenant_id, customer_id);
alter table signals_default enable row level security;
alter table signals_default force row level security;
alter table signals enable row level security;
alter table signals force row level security;
create policy tenant on signals to ${service}_app
    using (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
    with check (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
grant select, insert on signals to ${service}_app;

-- Facts that were taken back, before or after they came: their signals count no more.
create table voids (
    tenant_id uuid not null,
    source_kind text not null,
    source_id text not null,
    voided_at timestamptz not null,
    primary key (tenant_id, source_kind, source_id)
);
alter table voids enable row level security;
alter table voids force row level security;
create policy tenant on voids to ${service}_app
    using (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
    with check (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
grant select, insert on voids to ${service}_app;
