set lock_timeout = '4s';

-- Which account a customer belongs to, as profile says: answers of one account are no independent voices.
create table customer_accounts (
    tenant_id uuid not null,
    customer_id text not null,
    account_id text,
    version bigint not null,
    primary key (tenant_id, customer_id)
);
alter table customer_accounts enable row level security;
alter table customer_accounts force row level security;
create policy tenant on customer_accounts to ${service}_app
    using (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid)
    with check (tenant_id = nullif(current_setting('app.tenant', true), '')::uuid);
grant select, insert, update on customer_accounts to ${service}_app;
