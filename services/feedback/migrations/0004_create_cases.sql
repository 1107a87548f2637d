set lock_timeout = '4s';

-- The follow-up of one unhappy customer. Rows are changed under a lock; what was done stands in the tables below.
create table cases (
    tenant_id uuid not null,
    case_id text not null,
    customer_id text,
    team text not null,
    owner text,
    urgency text not null check (urgency in ('low', 'normal', 'high', 'urgent')),
    state text not null check (state in ('open', 'acknowledged', 'in_progress', 'action_taken', 'closed',
                                         'waiting_customer', 'reopened', 'suppressed')),
    confirmation text check (confirmation in ('confirmed', 'no_answer', 'declined', 'not_asked')),
    root_cause text,
    do_not_contact boolean not null,
    external_ref text,
    external_url text,
    opened_at timestamptz not null,
    updated_at timestamptz not null,
    version bigint not null,
    -- From when on it is overdue: the earliest of the clocks that run. All clocks follow from the tables below.
    due_at timestamptz,
    primary key (tenant_id, case_id)
);
-- One open case a customer: whoever comes second joins it.
create unique index cases_open on cases (tenant_id, customer_id) where state not in ('closed', 'suppressed');
create index cases_customer on cases (tenant_id, customer_id, case_id);
create index cases_state on cases (tenant_id, state, case_id);
create index cases_due on cases (tenant_id, due_at) where due_at is not null;
create index cases_updated on cases (tenant_id, updated_at);
create index cases_external on cases (tenant_id, external_ref) where external_ref is not null;
create index cases_owner on cases (tenant_id, owner, case_id) where owner is not null;
alter table cases enable row level security;
alter table cases force row level security;
create policy tenant on cases to ${service}_app
    using (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
    with check (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
grant select, insert, update on cases to ${service}_app;

-- What asked for a case: each led to exactly one, or deliberately to none for a reason that is kept.
create table triggers (
    tenant_id uuid not null,
    kind text not null,
    id text not null,
    at timestamptz not null,
    case_id text,
    reason text,
    primary key (tenant_id, kind, id),
    constraint triggers_case_or_reason check (num_nonnulls(case_id, reason) = 1)
);
create index triggers_case on triggers (tenant_id, case_id) where case_id is not null;
create index triggers_id on triggers (tenant_id, id) where case_id is not null;
create index triggers_suppressed on triggers (tenant_id, at, id) where reason is not null;
alter table triggers enable row level security;
alter table triggers force row level security;
create policy tenant on triggers to ${service}_app
    using (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
    with check (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
grant select, insert on triggers to ${service}_app;

-- Every attempt to speak with the customer.
create table contacts (
    tenant_id uuid not null,
    case_id text not null,
    num int not null,
    at timestamptz not null,
    by text not null,
    channel text not null,
    outcome text not null check (outcome in ('reached', 'left_message', 'failed')),
    primary key (tenant_id, case_id, num)
);
alter table contacts enable row level security;
alter table contacts force row level security;
create policy tenant on contacts to ${service}_app
    using (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
    with check (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
grant select, insert on contacts to ${service}_app;

-- Every state that a case was in.
create table case_steps (
    tenant_id uuid not null,
    case_id text not null,
    num int not null,
    from_state text,
    to_state text not null,
    at timestamptz not null,
    by text,
    note text,
    primary key (tenant_id, case_id, num)
);
alter table case_steps enable row level security;
alter table case_steps force row level security;
create policy tenant on case_steps to ${service}_app
    using (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
    with check (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
grant select, insert on case_steps to ${service}_app;
