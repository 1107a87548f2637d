set lock_timeout = '4s';

-- Who did what is read newest first, of everything or of one subject.
create index audit_at on audit (tenant_id, at, audit_id);
create index audit_subject on audit (tenant_id, subject_id, at, audit_id);
