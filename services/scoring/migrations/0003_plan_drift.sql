set lock_timeout = '4s';

-- The UTC day on which time alone will have moved the score by a point from what was told; null for never.
alter table scores add column moves_on date;
create index scores_drift on scores (tenant_id, moves_on) where moves_on is not null;
