-- SPDX-License-Identifier: Apache-2.0
-- Written by corridor.store.compile from schema.py and statements.py. Do not edit.

-- act.close
UPDATE act SET state='closed' WHERE act.participant = :participant AND act.act_id = :act_id AND act.state IN ('open');

-- act.get
SELECT act.pk, act.participant, act.act_id, act.sid, act.kind, act.started, act.state, act.detail
FROM act
WHERE act.participant = :participant AND act.act_id = :act_id;

-- act.insert
INSERT INTO act (participant, act_id, sid, kind, started, state, detail) VALUES (:participant, :act_id, :sid, :kind, :started, :state, :detail);

-- act.open
SELECT act.pk, act.participant, act.act_id, act.sid, act.kind, act.started, act.state, act.detail
FROM act
WHERE act.participant = :participant AND act.state IN ('open') ORDER BY act.pk;

-- act.open-of-session
SELECT act.pk, act.participant, act.act_id, act.sid, act.kind, act.started, act.state, act.detail
FROM act
WHERE act.participant = :participant AND act.sid = :sid AND act.state IN ('open') ORDER BY act.pk;

-- act.update
UPDATE act SET state=:state, detail=:detail WHERE act.participant = :participant AND act.act_id = :act_id;

-- agreement.by-id
SELECT agreement.pk, agreement.participant, agreement.agreement_id, agreement.role, agreement.peer, agreement.provider, agreement.consumer, agreement.asset, agreement.service, agreement.raw, agreement.sha256, agreement.meaning, agreement.terms_sha, agreement.permit, agreement.permit_sha, agreement.purpose, agreement.detail, agreement.negotiation, agreement.state, agreement.signed_at, agreement.ends_at, agreement.reason, agreement.created, agreement.changed, agreement.ver
FROM agreement
WHERE agreement.participant = :participant AND agreement.agreement_id = :agreement_id ORDER BY agreement.pk;

-- agreement.ending-before
SELECT agreement.pk, agreement.participant, agreement.agreement_id, agreement.role, agreement.peer, agreement.provider, agreement.consumer, agreement.asset, agreement.service, agreement.raw, agreement.sha256, agreement.meaning, agreement.terms_sha, agreement.permit, agreement.permit_sha, agreement.purpose, agreement.detail, agreement.negotiation, agreement.state, agreement.signed_at, agreement.ends_at, agreement.reason, agreement.created, agreement.changed, agreement.ver
FROM agreement
WHERE agreement.participant = :participant AND agreement.state IN ('live', 'withdrawn') AND agreement.ends_at < :before ORDER BY agreement.ends_at, agreement.pk
LIMIT :limit;

-- agreement.get
SELECT agreement.pk, agreement.participant, agreement.agreement_id, agreement.role, agreement.peer, agreement.provider, agreement.consumer, agreement.asset, agreement.service, agreement.raw, agreement.sha256, agreement.meaning, agreement.terms_sha, agreement.permit, agreement.permit_sha, agreement.purpose, agreement.detail, agreement.negotiation, agreement.state, agreement.signed_at, agreement.ends_at, agreement.reason, agreement.created, agreement.changed, agreement.ver
FROM agreement
WHERE agreement.participant = :participant AND agreement.agreement_id = :agreement_id AND agreement.role = :role;

-- agreement.insert
INSERT INTO agreement (participant, agreement_id, role, peer, provider, consumer, asset, service, raw, sha256, meaning, terms_sha, permit, permit_sha, purpose, detail, negotiation, state, signed_at, ends_at, reason, created, changed, ver) VALUES (:participant, :agreement_id, :role, :peer, :provider, :consumer, :asset, :service, :raw, :sha256, :meaning, :terms_sha, :permit, :permit_sha, :purpose, :detail, :negotiation, :state, :signed_at, :ends_at, :reason, :created, :changed, :ver);

-- agreement.live-of-asset
SELECT agreement.pk, agreement.participant, agreement.agreement_id, agreement.role, agreement.peer, agreement.provider, agreement.consumer, agreement.asset, agreement.service, agreement.raw, agreement.sha256, agreement.meaning, agreement.terms_sha, agreement.permit, agreement.permit_sha, agreement.purpose, agreement.detail, agreement.negotiation, agreement.state, agreement.signed_at, agreement.ends_at, agreement.reason, agreement.created, agreement.changed, agreement.ver
FROM agreement
WHERE agreement.participant = :participant AND agreement.asset = :asset AND agreement.peer = :peer AND agreement.role = :role AND agreement.state IN ('live') ORDER BY agreement.pk;

-- agreement.page
SELECT agreement.pk, agreement.participant, agreement.agreement_id, agreement.role, agreement.peer, agreement.provider, agreement.consumer, agreement.asset, agreement.service, agreement.raw, agreement.sha256, agreement.meaning, agreement.terms_sha, agreement.permit, agreement.permit_sha, agreement.purpose, agreement.detail, agreement.negotiation, agreement.state, agreement.signed_at, agreement.ends_at, agreement.reason, agreement.created, agreement.changed, agreement.ver
FROM agreement
WHERE agreement.pk > :after AND agreement.participant = :participant ORDER BY agreement.pk
LIMIT :limit;

-- agreement.page-of-state
SELECT agreement.pk, agreement.participant, agreement.agreement_id, agreement.role, agreement.peer, agreement.provider, agreement.consumer, agreement.asset, agreement.service, agreement.raw, agreement.sha256, agreement.meaning, agreement.terms_sha, agreement.permit, agreement.permit_sha, agreement.purpose, agreement.detail, agreement.negotiation, agreement.state, agreement.signed_at, agreement.ends_at, agreement.reason, agreement.created, agreement.changed, agreement.ver
FROM agreement
WHERE agreement.pk > :after AND agreement.participant = :participant AND agreement.state = :state ORDER BY agreement.pk
LIMIT :limit;

-- agreement.update
UPDATE agreement SET permit=:permit, permit_sha=:permit_sha, detail=:detail, state=:state, ends_at=:ends_at, reason=:reason, changed=:changed, ver=(agreement.ver + 1) WHERE agreement.participant = :participant AND agreement.agreement_id = :agreement_id AND agreement.role = :role AND agreement.ver = :ver;

-- api_token.by-sha256
SELECT api_token.pk, api_token.token_id, api_token.user_id, api_token.kind, api_token.prefix, api_token.sha256, api_token.roles, api_token.scope, api_token.csrf, api_token.created, api_token.expires, api_token.last_used
FROM api_token
WHERE api_token.sha256 = :sha256;

-- api_token.delete
DELETE FROM api_token WHERE api_token.token_id = :token_id;

-- api_token.delete-of-user
DELETE FROM api_token WHERE api_token.user_id = :user_id;

-- api_token.get
SELECT api_token.pk, api_token.token_id, api_token.user_id, api_token.kind, api_token.prefix, api_token.sha256, api_token.roles, api_token.scope, api_token.csrf, api_token.created, api_token.expires, api_token.last_used
FROM api_token
WHERE api_token.token_id = :token_id;

-- api_token.insert
INSERT INTO api_token (token_id, user_id, kind, prefix, sha256, roles, scope, csrf, created, expires, last_used) VALUES (:token_id, :user_id, :kind, :prefix, :sha256, :roles, :scope, :csrf, :created, :expires, :last_used);

-- api_token.of-user
SELECT api_token.pk, api_token.token_id, api_token.user_id, api_token.kind, api_token.prefix, api_token.sha256, api_token.roles, api_token.scope, api_token.csrf, api_token.created, api_token.expires, api_token.last_used
FROM api_token
WHERE api_token.user_id = :user_id ORDER BY api_token.pk;

-- api_token.page
SELECT api_token.pk, api_token.token_id, api_token.user_id, api_token.kind, api_token.prefix, api_token.sha256, api_token.roles, api_token.scope, api_token.csrf, api_token.created, api_token.expires, api_token.last_used
FROM api_token
WHERE api_token.pk > :after AND 1 = 1 ORDER BY api_token.pk
LIMIT :limit;

-- api_token.purge
DELETE FROM api_token WHERE 1 = 1 AND api_token.pk IN (SELECT api_token.pk
FROM api_token
WHERE 1 = 1 AND api_token.expires < :before ORDER BY api_token.expires
LIMIT :limit);

-- api_token.update
UPDATE api_token SET expires=:expires, last_used=:last_used WHERE api_token.token_id = :token_id;

-- api_token.used
UPDATE api_token SET last_used=:last_used WHERE api_token.token_id = :token_id;

-- approval.by-subject
SELECT approval.pk, approval.participant, approval.approval_id, approval.subject, approval.office, approval.rule, approval.facts, approval.asked, approval.expires, approval.state, approval."by", approval.reason, approval.leaf, approval.ver
FROM approval
WHERE approval.participant = :participant AND approval.subject = :subject ORDER BY approval.pk;

-- approval.count-of-state
SELECT count(*) AS count_1
FROM approval
WHERE approval.participant = :participant AND approval.state = :state;

-- approval.get
SELECT approval.pk, approval.participant, approval.approval_id, approval.subject, approval.office, approval.rule, approval.facts, approval.asked, approval.expires, approval.state, approval."by", approval.reason, approval.leaf, approval.ver
FROM approval
WHERE approval.participant = :participant AND approval.approval_id = :approval_id;

-- approval.insert
INSERT INTO approval (participant, approval_id, subject, office, rule, facts, asked, expires, state, "by", reason, leaf, ver) VALUES (:participant, :approval_id, :subject, :office, :rule, :facts, :asked, :expires, :state, :by, :reason, :leaf, :ver);

-- approval.page
SELECT approval.pk, approval.participant, approval.approval_id, approval.subject, approval.office, approval.rule, approval.facts, approval.asked, approval.expires, approval.state, approval."by", approval.reason, approval.leaf, approval.ver
FROM approval
WHERE approval.pk > :after AND approval.participant = :participant ORDER BY approval.pk
LIMIT :limit;

-- approval.page-of-state
SELECT approval.pk, approval.participant, approval.approval_id, approval.subject, approval.office, approval.rule, approval.facts, approval.asked, approval.expires, approval.state, approval."by", approval.reason, approval.leaf, approval.ver
FROM approval
WHERE approval.pk > :after AND approval.participant = :participant AND approval.state = :state ORDER BY approval.pk
LIMIT :limit;

-- approval.update
UPDATE approval SET facts=:facts, asked=:asked, expires=:expires, state=:state, "by"=:by, reason=:reason, leaf=:leaf, ver=(approval.ver + 1) WHERE approval.participant = :participant AND approval.approval_id = :approval_id AND approval.ver = :ver;

-- asset.count
SELECT count(*) AS count_1
FROM asset
WHERE asset.participant = :participant;

-- asset.get
SELECT asset.pk, asset.participant, asset.asset_id, asset.service, asset.title, asset.description, asset.source, asset.detail, asset.state, asset.created, asset.changed, asset.ver
FROM asset
WHERE asset.participant = :participant AND asset.asset_id = :asset_id;

-- asset.insert
INSERT INTO asset (participant, asset_id, service, title, description, source, detail, state, created, changed, ver) VALUES (:participant, :asset_id, :service, :title, :description, :source, :detail, :state, :created, :changed, :ver);

-- asset.page
SELECT asset.pk, asset.participant, asset.asset_id, asset.service, asset.title, asset.description, asset.source, asset.detail, asset.state, asset.created, asset.changed, asset.ver
FROM asset
WHERE asset.pk > :after AND asset.participant = :participant ORDER BY asset.pk
LIMIT :limit;

-- asset.update
UPDATE asset SET title=:title, description=:description, source=:source, detail=:detail, state=:state, changed=:changed, ver=(asset.ver + 1) WHERE asset.participant = :participant AND asset.asset_id = :asset_id AND asset.ver = :ver;

-- counter.charge
INSERT INTO counter (participant, scope, operand, window_start, used, held, cap, ver) SELECT :participant AS anon_1, :scope AS anon_2, :operand AS anon_3, :window_start AS anon_4, :amount AS anon_5, 0, :cap AS anon_6, 1
WHERE :amount <= :cap ON CONFLICT (participant, scope, operand, window_start) DO UPDATE SET used = (counter.used + excluded.used), held = (counter.held + excluded.held), cap = excluded.cap, ver = (counter.ver + 1) WHERE counter.used + counter.held + :amount <= :cap;

-- counter.get
SELECT counter.pk, counter.participant, counter.scope, counter.operand, counter.window_start, counter.used, counter.held, counter.cap, counter.ver
FROM counter
WHERE counter.participant = :participant AND counter.scope = :scope AND counter.operand = :operand AND counter.window_start = :window_start;

-- counter.insert
INSERT INTO counter (participant, scope, operand, window_start, used, held, cap, ver) VALUES (:participant, :scope, :operand, :window_start, :used, :held, :cap, :ver);

-- counter.of-scope
SELECT counter.pk, counter.participant, counter.scope, counter.operand, counter.window_start, counter.used, counter.held, counter.cap, counter.ver
FROM counter
WHERE counter.participant = :participant AND counter.scope = :scope ORDER BY counter.pk;

-- counter.reserve
INSERT INTO counter (participant, scope, operand, window_start, used, held, cap, ver) SELECT :participant AS anon_1, :scope AS anon_2, :operand AS anon_3, :window_start AS anon_4, 0, :amount AS anon_5, :cap AS anon_6, 1
WHERE :amount <= :cap ON CONFLICT (participant, scope, operand, window_start) DO UPDATE SET used = (counter.used + excluded.used), held = (counter.held + excluded.held), cap = excluded.cap, ver = (counter.ver + 1) WHERE counter.used + counter.held + :amount <= :cap;

-- counter.settle
UPDATE counter SET used=(counter.used + :used_amount), held=(counter.held - :held_amount), ver=(counter.ver + 1) WHERE counter.participant = :participant AND counter.scope = :scope AND counter.operand = :operand AND counter.window_start = :window_start AND counter.held >= :held_amount;

-- counter.update
UPDATE counter SET used=:used, held=:held, cap=:cap, ver=(counter.ver + 1) WHERE counter.participant = :participant AND counter.scope = :scope AND counter.operand = :operand AND counter.window_start = :window_start AND counter.ver = :ver;

-- duty.get
SELECT duty.pk, duty.participant, duty.agreement_id, duty.kind, duty.due, duty.state, duty.leaf, duty.detail, duty.ver
FROM duty
WHERE duty.participant = :participant AND duty.agreement_id = :agreement_id AND duty.kind = :kind AND duty.due = :due;

-- duty.insert
INSERT INTO duty (participant, agreement_id, kind, due, state, leaf, detail, ver) VALUES (:participant, :agreement_id, :kind, :due, :state, :leaf, :detail, :ver);

-- duty.of-agreement
SELECT duty.pk, duty.participant, duty.agreement_id, duty.kind, duty.due, duty.state, duty.leaf, duty.detail, duty.ver
FROM duty
WHERE duty.participant = :participant AND duty.agreement_id = :agreement_id ORDER BY duty.pk;

-- duty.page
SELECT duty.pk, duty.participant, duty.agreement_id, duty.kind, duty.due, duty.state, duty.leaf, duty.detail, duty.ver
FROM duty
WHERE duty.pk > :after AND duty.participant = :participant ORDER BY duty.pk
LIMIT :limit;

-- duty.page-of-state
SELECT duty.pk, duty.participant, duty.agreement_id, duty.kind, duty.due, duty.state, duty.leaf, duty.detail, duty.ver
FROM duty
WHERE duty.pk > :after AND duty.participant = :participant AND duty.state = :state ORDER BY duty.pk
LIMIT :limit;

-- duty.update
UPDATE duty SET state=:state, leaf=:leaf, detail=:detail, ver=(duty.ver + 1) WHERE duty.participant = :participant AND duty.agreement_id = :agreement_id AND duty.kind = :kind AND duty.due = :due AND duty.ver = :ver;

-- event.insert
INSERT INTO event (participant, kind, subject, data, at) VALUES (:participant, :kind, :subject, :data, :at);

-- event.last
SELECT coalesce(max(event.pk), 0) AS coalesce_1
FROM event
WHERE event.participant = :participant;

-- event.of-subject
SELECT event.pk, event.participant, event.kind, event.subject, event.data, event.at
FROM event
WHERE event.participant = :participant AND event.subject = :subject ORDER BY event.pk;

-- event.page
SELECT event.pk, event.participant, event.kind, event.subject, event.data, event.at
FROM event
WHERE event.pk > :after AND event.participant = :participant ORDER BY event.pk
LIMIT :limit;

-- event.purge
DELETE FROM event WHERE event.participant = :participant AND event.pk IN (SELECT event.pk
FROM event
WHERE event.participant = :participant AND event.at < :before AND event.pk < (SELECT max(event.pk) AS max_1
FROM event) ORDER BY event.at
LIMIT :limit);

-- grant.delete
DELETE FROM grant WHERE grant.participant = :participant AND grant.user_id = :user_id AND grant.kind = :kind AND grant.name = :name;

-- grant.get
SELECT grant.pk, grant.participant, grant.user_id, grant.kind, grant.name, grant.created
FROM grant
WHERE grant.participant = :participant AND grant.user_id = :user_id AND grant.kind = :kind AND grant.name = :name;

-- grant.insert
INSERT INTO grant (participant, user_id, kind, name, created) VALUES (:participant, :user_id, :kind, :name, :created);

-- grant.node-delete-of-user
DELETE FROM grant WHERE grant.user_id = :user_id;

-- grant.node-of-user
SELECT grant.pk, grant.participant, grant.user_id, grant.kind, grant.name, grant.created
FROM grant
WHERE grant.user_id = :user_id ORDER BY grant.pk;

-- grant.of-user
SELECT grant.pk, grant.participant, grant.user_id, grant.kind, grant.name, grant.created
FROM grant
WHERE grant.participant = :participant AND grant.user_id = :user_id ORDER BY grant.pk;

-- grant.put
INSERT INTO grant (participant, user_id, kind, name, created) VALUES (:participant, :user_id, :kind, :name, :created) ON CONFLICT DO NOTHING;

-- idempotency.delete
DELETE FROM idempotency WHERE idempotency.participant = :participant AND idempotency.user_id = :user_id AND idempotency."key" = :key AND idempotency.status IS NULL;

-- idempotency.finish
UPDATE idempotency SET status=:status, answer=:answer WHERE idempotency.participant = :participant AND idempotency.user_id = :user_id AND idempotency."key" = :key AND idempotency.status IS NULL;

-- idempotency.get
SELECT idempotency.pk, idempotency.participant, idempotency.user_id, idempotency."key", idempotency.request_sha, idempotency.status, idempotency.answer, idempotency.expires
FROM idempotency
WHERE idempotency.participant = :participant AND idempotency.user_id = :user_id AND idempotency."key" = :key;

-- idempotency.insert
INSERT INTO idempotency (participant, user_id, "key", request_sha, status, answer, expires) VALUES (:participant, :user_id, :key, :request_sha, :status, :answer, :expires);

-- idempotency.purge
DELETE FROM idempotency WHERE idempotency.participant = :participant AND idempotency.pk IN (SELECT idempotency.pk
FROM idempotency
WHERE idempotency.participant = :participant AND idempotency.expires < :before ORDER BY idempotency.expires
LIMIT :limit);

-- idempotency.update
UPDATE idempotency SET status=:status, answer=:answer WHERE idempotency.participant = :participant AND idempotency.user_id = :user_id AND idempotency."key" = :key;

-- inbox.count-of-process
SELECT count(*) AS count_1
FROM inbox
WHERE inbox.participant = :participant AND inbox.process = :process;

-- inbox.insert
INSERT INTO inbox (participant, process, message_id, sha256, type, answer, at) VALUES (:participant, :process, :message_id, :sha256, :type, :answer, :at);

-- inbox.purge
DELETE FROM inbox WHERE inbox.participant = :participant AND inbox.pk IN (SELECT inbox.pk
FROM inbox
WHERE inbox.participant = :participant AND inbox.at < :before ORDER BY inbox.at
LIMIT :limit);

-- inbox.purge-of-process
DELETE FROM inbox WHERE inbox.participant = :participant AND inbox.process = :process;

-- inbox.seen
SELECT inbox.pk, inbox.participant, inbox.process, inbox.message_id, inbox.sha256, inbox.type, inbox.answer, inbox.at
FROM inbox
WHERE inbox.participant = :participant AND inbox.process = :process AND inbox.message_id = :message_id ORDER BY inbox.pk
LIMIT :limit;

-- inbox.seen-digest
SELECT inbox.pk, inbox.participant, inbox.process, inbox.message_id, inbox.sha256, inbox.type, inbox.answer, inbox.at
FROM inbox
WHERE inbox.participant = :participant AND inbox.process = :process AND inbox.sha256 = :sha256 ORDER BY inbox.pk
LIMIT :limit;

-- job.get
SELECT job.pk, job.participant, job.kind, job.subject, job.state, job.args, job.progress, job.claim, job.claim_until, job.attempts, job.error, job.ver
FROM job
WHERE job.participant = :participant AND job.kind = :kind AND job.subject = :subject;

-- job.insert
INSERT INTO job (participant, kind, subject, state, args, progress, claim, claim_until, attempts, error, ver) VALUES (:participant, :kind, :subject, :state, :args, :progress, :claim, :claim_until, :attempts, :error, :ver);

-- job.node-open
SELECT job.pk, job.participant, job.kind, job.subject, job.state, job.args, job.progress, job.claim, job.claim_until, job.attempts, job.error, job.ver
FROM job
WHERE job.state IN ('queued', 'running') ORDER BY job.pk;

-- job.page-of-state
SELECT job.pk, job.participant, job.kind, job.subject, job.state, job.args, job.progress, job.claim, job.claim_until, job.attempts, job.error, job.ver
FROM job
WHERE job.pk > :after AND job.participant = :participant AND job.state = :state ORDER BY job.pk
LIMIT :limit;

-- job.update
UPDATE job SET state=:state, args=:args, progress=:progress, claim=:claim, claim_until=:claim_until, attempts=:attempts, error=:error, ver=(job.ver + 1) WHERE job.participant = :participant AND job.kind = :kind AND job.subject = :subject AND job.ver = :ver;

-- ledger.current
SELECT ledger.pk, ledger.participant, ledger.epoch, ledger.origin, ledger.state, ledger.size, ledger.root, ledger.last_time
FROM ledger
WHERE ledger.participant = :participant AND ledger.state != 'closed';

-- ledger.get
SELECT ledger.pk, ledger.participant, ledger.epoch, ledger.origin, ledger.state, ledger.size, ledger.root, ledger.last_time
FROM ledger
WHERE ledger.participant = :participant AND ledger.epoch = :epoch;

-- ledger.grow
UPDATE ledger SET size=:size, root=:root, last_time=:last_time WHERE ledger.pk = :ledger AND ledger.size = :old AND ledger.state IN ('open');

-- ledger.head
SELECT ledger.size, ledger.last_time
FROM ledger
WHERE ledger.pk = :ledger;

-- ledger.insert
INSERT INTO ledger (participant, epoch, origin, state, size, root, last_time) VALUES (:participant, :epoch, :origin, :state, :size, :root, :last_time);

-- ledger.node-all
SELECT ledger.pk, ledger.participant, ledger.epoch, ledger.origin, ledger.state, ledger.size, ledger.root, ledger.last_time
FROM ledger ORDER BY ledger.pk;

-- ledger.set-state
UPDATE ledger SET state=:state WHERE ledger.participant = :participant AND ledger.epoch = :epoch AND ledger.state = :old;

-- ledger.update
UPDATE ledger SET state=:state, size=:size, root=:root, last_time=:last_time WHERE ledger.participant = :participant AND ledger.epoch = :epoch;

-- ledger_chain.get
SELECT ledger_chain.pk, ledger_chain.ledger, ledger_chain.thread, ledger_chain.number, ledger_chain.leaf
FROM ledger_chain
WHERE ledger_chain.ledger = :ledger AND ledger_chain.thread = :thread;

-- ledger_chain.insert
INSERT INTO ledger_chain (ledger, thread, number, leaf) VALUES (:ledger, :thread, :number, :leaf);

-- ledger_chain.page
SELECT ledger_chain.pk, ledger_chain.ledger, ledger_chain.thread, ledger_chain.number, ledger_chain.leaf
FROM ledger_chain
WHERE ledger_chain.pk > :after AND 1 = 1 ORDER BY ledger_chain.pk
LIMIT :limit;

-- ledger_chain.put
INSERT INTO ledger_chain (ledger, thread, number, leaf) VALUES (:ledger, :thread, :number, :leaf) ON CONFLICT (ledger, thread) DO UPDATE SET number = excluded.number, leaf = excluded.leaf;

-- ledger_chain.update
UPDATE ledger_chain SET number=:number, leaf=:leaf WHERE ledger_chain.ledger = :ledger AND ledger_chain.thread = :thread;

-- ledger_checkpoint.at-least
SELECT ledger_checkpoint.pk, ledger_checkpoint.ledger, ledger_checkpoint.size, ledger_checkpoint.note, ledger_checkpoint.at
FROM ledger_checkpoint
WHERE ledger_checkpoint.ledger = :ledger AND ledger_checkpoint.size >= :size ORDER BY ledger_checkpoint.size
LIMIT 1;

-- ledger_checkpoint.get
SELECT ledger_checkpoint.pk, ledger_checkpoint.ledger, ledger_checkpoint.size, ledger_checkpoint.note, ledger_checkpoint.at
FROM ledger_checkpoint
WHERE ledger_checkpoint.ledger = :ledger AND ledger_checkpoint.size = :size;

-- ledger_checkpoint.insert
INSERT INTO ledger_checkpoint (ledger, size, note, at) VALUES (:ledger, :size, :note, :at);

-- ledger_checkpoint.latest
SELECT ledger_checkpoint.pk, ledger_checkpoint.ledger, ledger_checkpoint.size, ledger_checkpoint.note, ledger_checkpoint.at
FROM ledger_checkpoint
WHERE ledger_checkpoint.ledger = :ledger ORDER BY ledger_checkpoint.size DESC
LIMIT 1;

-- ledger_checkpoint.page
SELECT ledger_checkpoint.pk, ledger_checkpoint.ledger, ledger_checkpoint.size, ledger_checkpoint.note, ledger_checkpoint.at
FROM ledger_checkpoint
WHERE ledger_checkpoint.pk > :after AND 1 = 1 ORDER BY ledger_checkpoint.pk
LIMIT :limit;

-- ledger_entry.append
INSERT INTO ledger_entry (ledger, id, type, thread, time, body) SELECT ledger.pk, :id AS anon_1, :type AS anon_2, :thread AS anon_3, :time AS anon_4, :body AS anon_5
FROM ledger
WHERE ledger.participant = :participant AND ledger.state IN ('open');

-- ledger_entry.by-id
SELECT ledger_entry.pk, ledger_entry.ledger, ledger_entry.id, ledger_entry.type, ledger_entry.thread, ledger_entry.time, ledger_entry.body, ledger_entry."index", ledger_entry.number, ledger_entry.prior, ledger_entry.leaf
FROM ledger_entry
WHERE ledger_entry.ledger = :ledger AND ledger_entry.id = :id;

-- ledger_entry.by-index
SELECT ledger_entry.pk, ledger_entry.ledger, ledger_entry.id, ledger_entry.type, ledger_entry.thread, ledger_entry.time, ledger_entry.body, ledger_entry."index", ledger_entry.number, ledger_entry.prior, ledger_entry.leaf
FROM ledger_entry
WHERE ledger_entry.ledger = :ledger AND ledger_entry."index" = :index;

-- ledger_entry.from-index
SELECT ledger_entry.pk, ledger_entry.ledger, ledger_entry.id, ledger_entry.type, ledger_entry.thread, ledger_entry.time, ledger_entry.body, ledger_entry."index", ledger_entry.number, ledger_entry.prior, ledger_entry.leaf
FROM ledger_entry
WHERE ledger_entry.ledger = :ledger AND ledger_entry."index" >= :start ORDER BY ledger_entry."index"
LIMIT :limit;

-- ledger_entry.get
SELECT ledger_entry.pk, ledger_entry.ledger, ledger_entry.id, ledger_entry.type, ledger_entry.thread, ledger_entry.time, ledger_entry.body, ledger_entry."index", ledger_entry.number, ledger_entry.prior, ledger_entry.leaf
FROM ledger_entry
WHERE ledger_entry.id = :id;

-- ledger_entry.insert
INSERT INTO ledger_entry (ledger, id, type, thread, time, body, "index", number, prior, leaf) VALUES (:ledger, :id, :type, :thread, :time, :body, :index, :number, :prior, :leaf);

-- ledger_entry.node-count-unplaced
SELECT count(*) AS count_1
FROM ledger_entry
WHERE ledger_entry."index" IS NULL;

-- ledger_entry.of-thread
SELECT ledger_entry.pk, ledger_entry.ledger, ledger_entry.id, ledger_entry.type, ledger_entry.thread, ledger_entry.time, ledger_entry.body, ledger_entry."index", ledger_entry.number, ledger_entry.prior, ledger_entry.leaf
FROM ledger_entry
WHERE ledger_entry.ledger = :ledger AND ledger_entry.thread = :thread AND ledger_entry.number > :after ORDER BY ledger_entry.number
LIMIT :limit;

-- ledger_entry.page
SELECT ledger_entry.pk, ledger_entry.ledger, ledger_entry.id, ledger_entry.type, ledger_entry.thread, ledger_entry.time, ledger_entry.body, ledger_entry."index", ledger_entry.number, ledger_entry.prior, ledger_entry.leaf
FROM ledger_entry
WHERE ledger_entry.pk > :after AND 1 = 1 ORDER BY ledger_entry.pk
LIMIT :limit;

-- ledger_entry.place
UPDATE ledger_entry SET "index"=:index, number=:number, prior=:prior, leaf=:leaf WHERE ledger_entry.pk = :pk;

-- ledger_entry.unplaced
SELECT ledger_entry.pk, ledger_entry.ledger, ledger_entry.thread, ledger_entry.time, ledger_entry.body
FROM ledger_entry
WHERE ledger_entry."index" IS NULL AND (EXISTS (SELECT *
FROM ledger
WHERE ledger.pk = ledger_entry.ledger AND ledger.state IN ('open'))) ORDER BY ledger_entry.pk
LIMIT :limit;

-- ledger_entry.unplaced-of-thread
SELECT count(*) AS count_1
FROM ledger_entry
WHERE ledger_entry.ledger = :ledger AND ledger_entry.thread = :thread AND ledger_entry."index" IS NULL;

-- ledger_entry.update
UPDATE ledger_entry SET "index"=:index, number=:number, prior=:prior, leaf=:leaf WHERE ledger_entry.id = :id;

-- ledger_payload.append
INSERT INTO ledger_payload (ledger, entry, slot, digest, sealed) SELECT ledger.pk, :entry AS anon_1, :slot AS anon_2, :digest AS anon_3, :sealed AS anon_4
FROM ledger
WHERE ledger.participant = :participant AND ledger.state IN ('open');

-- ledger_payload.erase
UPDATE ledger_payload SET sealed=NULL, erased=:erased WHERE ledger_payload.ledger = :ledger AND ledger_payload.digest = :digest AND ledger_payload.sealed IS NOT NULL;

-- ledger_payload.get
SELECT ledger_payload.pk, ledger_payload.ledger, ledger_payload.entry, ledger_payload.slot, ledger_payload.digest, ledger_payload.sealed, ledger_payload.erased
FROM ledger_payload
WHERE ledger_payload.ledger = :ledger AND ledger_payload.digest = :digest;

-- ledger_payload.insert
INSERT INTO ledger_payload (ledger, entry, slot, digest, sealed, erased) VALUES (:ledger, :entry, :slot, :digest, :sealed, :erased);

-- ledger_payload.of-entry
SELECT ledger_payload.pk, ledger_payload.ledger, ledger_payload.entry, ledger_payload.slot, ledger_payload.digest, ledger_payload.sealed, ledger_payload.erased
FROM ledger_payload
WHERE ledger_payload.ledger = :ledger AND ledger_payload.entry = :entry ORDER BY ledger_payload.pk;

-- ledger_payload.page
SELECT ledger_payload.pk, ledger_payload.ledger, ledger_payload.entry, ledger_payload.slot, ledger_payload.digest, ledger_payload.sealed, ledger_payload.erased
FROM ledger_payload
WHERE ledger_payload.pk > :after AND 1 = 1 ORDER BY ledger_payload.pk
LIMIT :limit;

-- ledger_payload.update
UPDATE ledger_payload SET sealed=:sealed, erased=:erased WHERE ledger_payload.ledger = :ledger AND ledger_payload.digest = :digest;

-- ledger_tile.get
SELECT ledger_tile.pk, ledger_tile.ledger, ledger_tile.level, ledger_tile.n, ledger_tile.hashes
FROM ledger_tile
WHERE ledger_tile.ledger = :ledger AND ledger_tile.level = :level AND ledger_tile.n = :n;

-- ledger_tile.insert
INSERT INTO ledger_tile (ledger, level, n, hashes) VALUES (:ledger, :level, :n, :hashes);

-- ledger_tile.page
SELECT ledger_tile.pk, ledger_tile.ledger, ledger_tile.level, ledger_tile.n, ledger_tile.hashes
FROM ledger_tile
WHERE ledger_tile.pk > :after AND 1 = 1 ORDER BY ledger_tile.pk
LIMIT :limit;

-- ledger_tile.put
INSERT INTO ledger_tile (ledger, level, n, hashes) VALUES (:ledger, :level, :n, :hashes) ON CONFLICT (ledger, level, n) DO UPDATE SET hashes = excluded.hashes;

-- ledger_tile.update
UPDATE ledger_tile SET hashes=:hashes WHERE ledger_tile.ledger = :ledger AND ledger_tile.level = :level AND ledger_tile.n = :n;

-- meta.get
SELECT meta.pk, meta.name, meta.value
FROM meta
WHERE meta.name = :name;

-- meta.insert
INSERT INTO meta (name, value) VALUES (:name, :value);

-- meta.page
SELECT meta.pk, meta.name, meta.value
FROM meta
WHERE meta.pk > :after AND 1 = 1 ORDER BY meta.pk
LIMIT :limit;

-- meta.put
INSERT INTO meta (name, value) VALUES (:name, :value) ON CONFLICT (name) DO UPDATE SET value = excluded.value;

-- meta.update
UPDATE meta SET value=:value WHERE meta.name = :name;

-- negotiation.by-peer-pid
SELECT negotiation.pk, negotiation.participant, negotiation.pid, negotiation.role, negotiation.peer, negotiation.peer_pid, negotiation.state, negotiation.pending, negotiation.pending_sha, negotiation.intent, negotiation.offer_id, negotiation.offer_raw, negotiation.offer_from, negotiation.wish_sha, negotiation.terms_sha, negotiation.rounds, negotiation.messages, negotiation.asset, negotiation.service, negotiation.detail, negotiation.purpose, negotiation.callback, negotiation.agreement_id, negotiation.reason, negotiation.note, negotiation.actor, negotiation.created, negotiation.changed, negotiation.ver
FROM negotiation
WHERE negotiation.participant = :participant AND negotiation.peer = :peer AND negotiation.role = :role AND negotiation.peer_pid = :peer_pid;

-- negotiation.count-open
SELECT count(*) AS count_1
FROM negotiation
WHERE negotiation.participant = :participant AND (negotiation.state IS NULL OR (negotiation.state NOT IN ('FINALIZED', 'TERMINATED', 'COMPLETED')));

-- negotiation.count-open-of-peer
SELECT count(*) AS count_1
FROM negotiation
WHERE negotiation.participant = :participant AND negotiation.peer = :peer AND (negotiation.state IS NULL OR (negotiation.state NOT IN ('FINALIZED', 'TERMINATED', 'COMPLETED')));

-- negotiation.get
SELECT negotiation.pk, negotiation.participant, negotiation.pid, negotiation.role, negotiation.peer, negotiation.peer_pid, negotiation.state, negotiation.pending, negotiation.pending_sha, negotiation.intent, negotiation.offer_id, negotiation.offer_raw, negotiation.offer_from, negotiation.wish_sha, negotiation.terms_sha, negotiation.rounds, negotiation.messages, negotiation.asset, negotiation.service, negotiation.detail, negotiation.purpose, negotiation.callback, negotiation.agreement_id, negotiation.reason, negotiation.note, negotiation.actor, negotiation.created, negotiation.changed, negotiation.ver
FROM negotiation
WHERE negotiation.participant = :participant AND negotiation.pid = :pid;

-- negotiation.insert
INSERT INTO negotiation (participant, pid, role, peer, peer_pid, state, pending, pending_sha, intent, offer_id, offer_raw, offer_from, wish_sha, terms_sha, rounds, messages, asset, service, detail, purpose, callback, agreement_id, reason, note, actor, created, changed, ver) VALUES (:participant, :pid, :role, :peer, :peer_pid, :state, :pending, :pending_sha, :intent, :offer_id, :offer_raw, :offer_from, :wish_sha, :terms_sha, :rounds, :messages, :asset, :service, :detail, :purpose, :callback, :agreement_id, :reason, :note, :actor, :created, :changed, :ver);

-- negotiation.open
SELECT negotiation.pk, negotiation.participant, negotiation.pid, negotiation.role, negotiation.peer, negotiation.peer_pid, negotiation.state, negotiation.pending, negotiation.pending_sha, negotiation.intent, negotiation.offer_id, negotiation.offer_raw, negotiation.offer_from, negotiation.wish_sha, negotiation.terms_sha, negotiation.rounds, negotiation.messages, negotiation.asset, negotiation.service, negotiation.detail, negotiation.purpose, negotiation.callback, negotiation.agreement_id, negotiation.reason, negotiation.note, negotiation.actor, negotiation.created, negotiation.changed, negotiation.ver
FROM negotiation
WHERE negotiation.pk > :after AND negotiation.participant = :participant AND (negotiation.state IS NULL OR (negotiation.state NOT IN ('FINALIZED', 'TERMINATED', 'COMPLETED'))) ORDER BY negotiation.pk
LIMIT :limit;

-- negotiation.page
SELECT negotiation.pk, negotiation.participant, negotiation.pid, negotiation.role, negotiation.peer, negotiation.peer_pid, negotiation.state, negotiation.pending, negotiation.pending_sha, negotiation.intent, negotiation.offer_id, negotiation.offer_raw, negotiation.offer_from, negotiation.wish_sha, negotiation.terms_sha, negotiation.rounds, negotiation.messages, negotiation.asset, negotiation.service, negotiation.detail, negotiation.purpose, negotiation.callback, negotiation.agreement_id, negotiation.reason, negotiation.note, negotiation.actor, negotiation.created, negotiation.changed, negotiation.ver
FROM negotiation
WHERE negotiation.pk > :after AND negotiation.participant = :participant ORDER BY negotiation.pk
LIMIT :limit;

-- negotiation.page-of-state
SELECT negotiation.pk, negotiation.participant, negotiation.pid, negotiation.role, negotiation.peer, negotiation.peer_pid, negotiation.state, negotiation.pending, negotiation.pending_sha, negotiation.intent, negotiation.offer_id, negotiation.offer_raw, negotiation.offer_from, negotiation.wish_sha, negotiation.terms_sha, negotiation.rounds, negotiation.messages, negotiation.asset, negotiation.service, negotiation.detail, negotiation.purpose, negotiation.callback, negotiation.agreement_id, negotiation.reason, negotiation.note, negotiation.actor, negotiation.created, negotiation.changed, negotiation.ver
FROM negotiation
WHERE negotiation.pk > :after AND negotiation.participant = :participant AND negotiation.state = :state ORDER BY negotiation.pk
LIMIT :limit;

-- negotiation.stuck
SELECT negotiation.pk, negotiation.participant, negotiation.pid, negotiation.role, negotiation.peer, negotiation.peer_pid, negotiation.state, negotiation.pending, negotiation.pending_sha, negotiation.intent, negotiation.offer_id, negotiation.offer_raw, negotiation.offer_from, negotiation.wish_sha, negotiation.terms_sha, negotiation.rounds, negotiation.messages, negotiation.asset, negotiation.service, negotiation.detail, negotiation.purpose, negotiation.callback, negotiation.agreement_id, negotiation.reason, negotiation.note, negotiation.actor, negotiation.created, negotiation.changed, negotiation.ver
FROM negotiation
WHERE negotiation.participant = :participant AND (negotiation.state IS NULL OR (negotiation.state NOT IN ('FINALIZED', 'TERMINATED', 'COMPLETED'))) AND negotiation.pending IS NOT NULL AND NOT (EXISTS (SELECT *
FROM outbox
WHERE outbox.participant = negotiation.participant AND outbox.process = negotiation.pid AND outbox.state IN ('queued', 'sending', 'dead'))) ORDER BY negotiation.pk;

-- negotiation.update
UPDATE negotiation SET peer_pid=:peer_pid, state=:state, pending=:pending, pending_sha=:pending_sha, intent=:intent, offer_id=:offer_id, offer_raw=:offer_raw, offer_from=:offer_from, wish_sha=:wish_sha, terms_sha=:terms_sha, rounds=:rounds, messages=:messages, asset=:asset, service=:service, detail=:detail, purpose=:purpose, callback=:callback, agreement_id=:agreement_id, reason=:reason, note=:note, actor=:actor, changed=:changed, ver=(negotiation.ver + 1) WHERE negotiation.participant = :participant AND negotiation.pid = :pid AND negotiation.ver = :ver;

-- node_process.delete
DELETE FROM node_process WHERE node_process.process_id = :process_id;

-- node_process.get
SELECT node_process.pk, node_process.process_id, node_process.started, node_process.beat, node_process.version, node_process.host
FROM node_process
WHERE node_process.process_id = :process_id;

-- node_process.insert
INSERT INTO node_process (process_id, started, beat, version, host) VALUES (:process_id, :started, :beat, :version, :host);

-- node_process.page
SELECT node_process.pk, node_process.process_id, node_process.started, node_process.beat, node_process.version, node_process.host
FROM node_process
WHERE node_process.pk > :after AND 1 = 1 ORDER BY node_process.pk
LIMIT :limit;

-- node_process.update
UPDATE node_process SET beat=:beat WHERE node_process.process_id = :process_id;

-- offer.by-asset
SELECT offer.pk, offer.participant, offer.offer_id, offer.asset, offer.terms, offer.terms_sha, offer.formats, offer.audience, offer.detail, offer.state, offer.valid_from, offer.valid_until, offer.created, offer.changed, offer.ver
FROM offer
WHERE offer.participant = :participant AND offer.asset = :asset ORDER BY offer.pk;

-- offer.count
SELECT count(*) AS count_1
FROM offer
WHERE offer.participant = :participant;

-- offer.get
SELECT offer.pk, offer.participant, offer.offer_id, offer.asset, offer.terms, offer.terms_sha, offer.formats, offer.audience, offer.detail, offer.state, offer.valid_from, offer.valid_until, offer.created, offer.changed, offer.ver
FROM offer
WHERE offer.participant = :participant AND offer.offer_id = :offer_id;

-- offer.insert
INSERT INTO offer (participant, offer_id, asset, terms, terms_sha, formats, audience, detail, state, valid_from, valid_until, created, changed, ver) VALUES (:participant, :offer_id, :asset, :terms, :terms_sha, :formats, :audience, :detail, :state, :valid_from, :valid_until, :created, :changed, :ver);

-- offer.page
SELECT offer.pk, offer.participant, offer.offer_id, offer.asset, offer.terms, offer.terms_sha, offer.formats, offer.audience, offer.detail, offer.state, offer.valid_from, offer.valid_until, offer.created, offer.changed, offer.ver
FROM offer
WHERE offer.pk > :after AND offer.participant = :participant ORDER BY offer.pk
LIMIT :limit;

-- offer.published
SELECT offer.pk, offer.participant, offer.offer_id, offer.asset, offer.terms, offer.terms_sha, offer.formats, offer.audience, offer.detail, offer.state, offer.valid_from, offer.valid_until, offer.created, offer.changed, offer.ver
FROM offer
WHERE offer.pk > :after AND offer.participant = :participant AND offer.state IN ('published') ORDER BY offer.pk
LIMIT :limit;

-- offer.published-back
SELECT offer.pk, offer.participant, offer.offer_id, offer.asset, offer.terms, offer.terms_sha, offer.formats, offer.audience, offer.detail, offer.state, offer.valid_from, offer.valid_until, offer.created, offer.changed, offer.ver
FROM offer
WHERE offer.participant = :participant AND offer.pk < :before AND offer.state IN ('published') ORDER BY offer.pk DESC
LIMIT :limit;

-- offer.update
UPDATE offer SET terms=:terms, terms_sha=:terms_sha, formats=:formats, audience=:audience, detail=:detail, state=:state, valid_from=:valid_from, valid_until=:valid_until, changed=:changed, ver=(offer.ver + 1) WHERE offer.participant = :participant AND offer.offer_id = :offer_id AND offer.ver = :ver;

-- outbox.claim
UPDATE outbox SET state='sending', claim=:claim, claim_until=:claim_until WHERE outbox.participant = :participant AND outbox.message_id = :message_id AND outbox.state IN ('queued', 'sending');

-- outbox.count
SELECT count(*) AS count_1
FROM outbox
WHERE outbox.participant = :participant AND outbox.peer = :peer AND outbox.state IN ('queued', 'sending');

-- outbox.dead
UPDATE outbox SET state='dead', claim=NULL, claim_until=NULL, error=:error WHERE outbox.participant = :participant AND outbox.message_id = :message_id AND outbox.state IN ('queued', 'sending');

-- outbox.done
UPDATE outbox SET state='done', claim=NULL, claim_until=NULL WHERE outbox.participant = :participant AND outbox.message_id = :message_id AND outbox.state IN ('queued', 'sending');

-- outbox.get
SELECT outbox.pk, outbox.participant, outbox.process, outbox.peer, outbox.message_id, outbox.type, outbox.url, outbox.body, outbox.sha256, outbox.state, outbox.attempts, outbox.next_at, outbox.give_up_at, outbox.claim, outbox.claim_until, outbox.error, outbox.created
FROM outbox
WHERE outbox.participant = :participant AND outbox.message_id = :message_id;

-- outbox.insert
INSERT INTO outbox (participant, process, peer, message_id, type, url, body, sha256, state, attempts, next_at, give_up_at, claim, claim_until, error, created) VALUES (:participant, :process, :peer, :message_id, :type, :url, :body, :sha256, :state, :attempts, :next_at, :give_up_at, :claim, :claim_until, :error, :created);

-- outbox.node-count-of-state
SELECT outbox.state, count(*) AS count_1
FROM outbox GROUP BY outbox.state;

-- outbox.node-pending
SELECT outbox.pk, outbox.participant, outbox.process, outbox.peer, outbox.message_id, outbox.type, outbox.url, outbox.body, outbox.sha256, outbox.state, outbox.attempts, outbox.next_at, outbox.give_up_at, outbox.claim, outbox.claim_until, outbox.error, outbox.created
FROM outbox
WHERE outbox.state IN ('queued', 'sending') ORDER BY outbox.next_at, outbox.pk;

-- outbox.of-process
SELECT outbox.pk, outbox.participant, outbox.process, outbox.peer, outbox.message_id, outbox.type, outbox.url, outbox.body, outbox.sha256, outbox.state, outbox.attempts, outbox.next_at, outbox.give_up_at, outbox.claim, outbox.claim_until, outbox.error, outbox.created
FROM outbox
WHERE outbox.participant = :participant AND outbox.process = :process AND outbox.state IN ('queued', 'sending') ORDER BY outbox.pk;

-- outbox.page-of-state
SELECT outbox.pk, outbox.participant, outbox.process, outbox.peer, outbox.message_id, outbox.type, outbox.url, outbox.body, outbox.sha256, outbox.state, outbox.attempts, outbox.next_at, outbox.give_up_at, outbox.claim, outbox.claim_until, outbox.error, outbox.created
FROM outbox
WHERE outbox.pk > :after AND outbox.participant = :participant AND outbox.state = :state ORDER BY outbox.pk
LIMIT :limit;

-- outbox.purge
DELETE FROM outbox WHERE outbox.participant = :participant AND outbox.pk IN (SELECT outbox.pk
FROM outbox
WHERE outbox.participant = :participant AND outbox.created < :before AND outbox.state = :state ORDER BY outbox.created
LIMIT :limit);

-- outbox.retry
UPDATE outbox SET state='queued', attempts=:attempts, next_at=:next_at, claim=NULL, claim_until=NULL, error=:error WHERE outbox.participant = :participant AND outbox.message_id = :message_id AND outbox.state IN ('queued', 'sending');

-- outbox.revive
UPDATE outbox SET state='queued', next_at=:next_at, claim=NULL, claim_until=NULL WHERE outbox.participant = :participant AND outbox.message_id = :message_id AND outbox.state IN ('dead');

-- outbox.supersede
UPDATE outbox SET state='superseded', claim=NULL, claim_until=NULL WHERE outbox.participant = :participant AND outbox.message_id = :message_id AND outbox.state IN ('queued', 'sending');

-- outbox.update
UPDATE outbox SET state=:state, attempts=:attempts, next_at=:next_at, claim=:claim, claim_until=:claim_until, error=:error WHERE outbox.participant = :participant AND outbox.message_id = :message_id;

-- participant.by-did
SELECT participant.pk, participant.slug, participant.did, participant.title, participant.mode, participant.settings, participant.state, participant.created, participant.ver
FROM participant
WHERE participant.did = :did;

-- participant.get
SELECT participant.pk, participant.slug, participant.did, participant.title, participant.mode, participant.settings, participant.state, participant.created, participant.ver
FROM participant
WHERE participant.slug = :slug;

-- participant.insert
INSERT INTO participant (slug, did, title, mode, settings, state, created, ver) VALUES (:slug, :did, :title, :mode, :settings, :state, :created, :ver);

-- participant.page
SELECT participant.pk, participant.slug, participant.did, participant.title, participant.mode, participant.settings, participant.state, participant.created, participant.ver
FROM participant
WHERE participant.pk > :after AND 1 = 1 ORDER BY participant.pk
LIMIT :limit;

-- participant.update
UPDATE participant SET did=:did, title=:title, mode=:mode, settings=:settings, state=:state, ver=(participant.ver + 1) WHERE participant.slug = :slug AND participant.ver = :ver;

-- peer.by-handle
SELECT peer.pk, peer.participant, peer.did, peer.handle, peer.title, peer.address, peer.version, peer.quirks, peer.callback_check, peer.last_seen, peer.failures, peer.down_until, peer.detail, peer.created, peer.ver
FROM peer
WHERE peer.participant = :participant AND peer.handle = :handle;

-- peer.count
SELECT count(*) AS count_1
FROM peer
WHERE peer.participant = :participant;

-- peer.delete
DELETE FROM peer WHERE peer.participant = :participant AND peer.did = :did AND peer.ver = :ver;

-- peer.get
SELECT peer.pk, peer.participant, peer.did, peer.handle, peer.title, peer.address, peer.version, peer.quirks, peer.callback_check, peer.last_seen, peer.failures, peer.down_until, peer.detail, peer.created, peer.ver
FROM peer
WHERE peer.participant = :participant AND peer.did = :did;

-- peer.insert
INSERT INTO peer (participant, did, handle, title, address, version, quirks, callback_check, last_seen, failures, down_until, detail, created, ver) VALUES (:participant, :did, :handle, :title, :address, :version, :quirks, :callback_check, :last_seen, :failures, :down_until, :detail, :created, :ver);

-- peer.page
SELECT peer.pk, peer.participant, peer.did, peer.handle, peer.title, peer.address, peer.version, peer.quirks, peer.callback_check, peer.last_seen, peer.failures, peer.down_until, peer.detail, peer.created, peer.ver
FROM peer
WHERE peer.pk > :after AND peer.participant = :participant ORDER BY peer.pk
LIMIT :limit;

-- peer.put
INSERT INTO peer (participant, did, handle, title, address, version, quirks, callback_check, last_seen, failures, down_until, detail, created, ver) VALUES (:participant, :did, :handle, :title, :address, :version, :quirks, :callback_check, :last_seen, :failures, :down_until, :detail, :created, :ver) ON CONFLICT (participant, did) DO UPDATE SET handle = excluded.handle, title = excluded.title, address = excluded.address, version = excluded.version, quirks = excluded.quirks, callback_check = excluded.callback_check, last_seen = excluded.last_seen, failures = excluded.failures, down_until = excluded.down_until, detail = excluded.detail, ver = (peer.ver + 1);

-- peer.update
UPDATE peer SET handle=:handle, title=:title, address=:address, version=:version, quirks=:quirks, callback_check=:callback_check, last_seen=:last_seen, failures=:failures, down_until=:down_until, detail=:detail, ver=(peer.ver + 1) WHERE peer.participant = :participant AND peer.did = :did AND peer.ver = :ver;

-- reservation.finish
UPDATE reservation SET state=:state WHERE reservation.participant = :participant AND reservation.request_id = :request_id AND reservation.scope = :scope AND reservation.operand = :operand AND reservation.window_start = :window_start AND reservation.state = 'held';

-- reservation.get
SELECT reservation.pk, reservation.participant, reservation.request_id, reservation.scope, reservation.operand, reservation.window_start, reservation.amount, reservation.state, reservation.owner, reservation.at
FROM reservation
WHERE reservation.participant = :participant AND reservation.request_id = :request_id AND reservation.scope = :scope AND reservation.operand = :operand AND reservation.window_start = :window_start;

-- reservation.held
SELECT reservation.pk, reservation.participant, reservation.request_id, reservation.scope, reservation.operand, reservation.window_start, reservation.amount, reservation.state, reservation.owner, reservation.at
FROM reservation
WHERE reservation.participant = :participant AND reservation.state = 'held' ORDER BY reservation.pk;

-- reservation.insert
INSERT INTO reservation (participant, request_id, scope, operand, window_start, amount, state, owner, at) VALUES (:participant, :request_id, :scope, :operand, :window_start, :amount, :state, :owner, :at);

-- reservation.of-request
SELECT reservation.pk, reservation.participant, reservation.request_id, reservation.scope, reservation.operand, reservation.window_start, reservation.amount, reservation.state, reservation.owner, reservation.at
FROM reservation
WHERE reservation.participant = :participant AND reservation.request_id = :request_id ORDER BY reservation.pk;

-- reservation.update
UPDATE reservation SET amount=:amount, state=:state WHERE reservation.participant = :participant AND reservation.request_id = :request_id AND reservation.scope = :scope AND reservation.operand = :operand AND reservation.window_start = :window_start;

-- revocation.insert
INSERT INTO revocation (participant, kind, subject, at) VALUES (:participant, :kind, :subject, :at);

-- revocation.node-after
SELECT revocation.pk, revocation.participant, revocation.kind, revocation.subject, revocation.at
FROM revocation
WHERE revocation.pk > :after ORDER BY revocation.pk
LIMIT :limit;

-- revocation.node-last
SELECT coalesce(max(revocation.pk), 0) AS coalesce_1
FROM revocation;

-- revocation.of-subject
SELECT revocation.pk, revocation.participant, revocation.kind, revocation.subject, revocation.at
FROM revocation
WHERE revocation.participant = :participant AND revocation.subject = :subject ORDER BY revocation.pk;

-- seen_token.get
SELECT seen_token.pk, seen_token.participant, seen_token.issuer, seen_token.jti, seen_token.expires
FROM seen_token
WHERE seen_token.participant = :participant AND seen_token.issuer = :issuer AND seen_token.jti = :jti;

-- seen_token.insert
INSERT INTO seen_token (participant, issuer, jti, expires) VALUES (:participant, :issuer, :jti, :expires);

-- seen_token.purge
DELETE FROM seen_token WHERE seen_token.participant = :participant AND seen_token.pk IN (SELECT seen_token.pk
FROM seen_token
WHERE seen_token.participant = :participant AND seen_token.expires < :before ORDER BY seen_token.expires
LIMIT :limit);

-- session.by-transfer
SELECT session.pk, session.participant, session.sid, session.transfer, session.agreement_id, session.asset, session.service, session.permit_sha, session.generation, session.generation_at, session.purpose, session.opened, session.expires, session.state, session.detail, session.reason, session.ver
FROM session
WHERE session.participant = :participant AND session.transfer = :transfer;

-- session.count-open-of-agreement
SELECT count(*) AS count_1
FROM session
WHERE session.participant = :participant AND session.agreement_id = :agreement_id AND (session.state NOT IN ('closed'));

-- session.get
SELECT session.pk, session.participant, session.sid, session.transfer, session.agreement_id, session.asset, session.service, session.permit_sha, session.generation, session.generation_at, session.purpose, session.opened, session.expires, session.state, session.detail, session.reason, session.ver
FROM session
WHERE session.participant = :participant AND session.sid = :sid;

-- session.hold
UPDATE session SET ver=session.ver WHERE session.participant = :participant AND session.sid = :sid AND session.state IN ('open');

-- session.insert
INSERT INTO session (participant, sid, transfer, agreement_id, asset, service, permit_sha, generation, generation_at, purpose, opened, expires, state, detail, reason, ver) VALUES (:participant, :sid, :transfer, :agreement_id, :asset, :service, :permit_sha, :generation, :generation_at, :purpose, :opened, :expires, :state, :detail, :reason, :ver);

-- session.of-agreement
SELECT session.pk, session.participant, session.sid, session.transfer, session.agreement_id, session.asset, session.service, session.permit_sha, session.generation, session.generation_at, session.purpose, session.opened, session.expires, session.state, session.detail, session.reason, session.ver
FROM session
WHERE session.participant = :participant AND session.agreement_id = :agreement_id ORDER BY session.pk;

-- session.of-state
SELECT session.pk, session.participant, session.sid, session.transfer, session.agreement_id, session.asset, session.service, session.permit_sha, session.generation, session.generation_at, session.purpose, session.opened, session.expires, session.state, session.detail, session.reason, session.ver
FROM session
WHERE session.participant = :participant AND session.state = :state ORDER BY session.pk;

-- session.update
UPDATE session SET permit_sha=:permit_sha, generation=:generation, generation_at=:generation_at, purpose=:purpose, opened=:opened, expires=:expires, state=:state, detail=:detail, reason=:reason, ver=(session.ver + 1) WHERE session.participant = :participant AND session.sid = :sid AND session.ver = :ver;

-- signing_key.all
SELECT signing_key.pk, signing_key.participant, signing_key.kid, signing_key.use, signing_key.alg, signing_key.public, signing_key.sealed, signing_key.state, signing_key.valid_from, signing_key.valid_until, signing_key.created, signing_key.ver
FROM signing_key
WHERE signing_key.participant = :participant ORDER BY signing_key.pk;

-- signing_key.get
SELECT signing_key.pk, signing_key.participant, signing_key.kid, signing_key.use, signing_key.alg, signing_key.public, signing_key.sealed, signing_key.state, signing_key.valid_from, signing_key.valid_until, signing_key.created, signing_key.ver
FROM signing_key
WHERE signing_key.participant = :participant AND signing_key.kid = :kid;

-- signing_key.insert
INSERT INTO signing_key (participant, kid, use, alg, public, sealed, state, valid_from, valid_until, created, ver) VALUES (:participant, :kid, :use, :alg, :public, :sealed, :state, :valid_from, :valid_until, :created, :ver);

-- signing_key.of-use
SELECT signing_key.pk, signing_key.participant, signing_key.kid, signing_key.use, signing_key.alg, signing_key.public, signing_key.sealed, signing_key.state, signing_key.valid_from, signing_key.valid_until, signing_key.created, signing_key.ver
FROM signing_key
WHERE signing_key.participant = :participant AND signing_key.use = :use ORDER BY signing_key.pk;

-- signing_key.update
UPDATE signing_key SET sealed=:sealed, state=:state, valid_from=:valid_from, valid_until=:valid_until, ver=(signing_key.ver + 1) WHERE signing_key.participant = :participant AND signing_key.kid = :kid AND signing_key.ver = :ver;

-- terms.by-sha256
SELECT terms.pk, terms.participant, terms.terms_id, terms.yaml, terms.odrl, terms.sha256, terms.created
FROM terms
WHERE terms.participant = :participant AND terms.sha256 = :sha256;

-- terms.get
SELECT terms.pk, terms.participant, terms.terms_id, terms.yaml, terms.odrl, terms.sha256, terms.created
FROM terms
WHERE terms.participant = :participant AND terms.terms_id = :terms_id;

-- terms.insert
INSERT INTO terms (participant, terms_id, yaml, odrl, sha256, created) VALUES (:participant, :terms_id, :yaml, :odrl, :sha256, :created);

-- transfer.by-peer-pid
SELECT transfer.pk, transfer.participant, transfer.pid, transfer.role, transfer.peer, transfer.peer_pid, transfer.agreement_id, transfer.format, transfer.state, transfer.pending, transfer.pending_sha, transfer.intent, transfer.callback, transfer.data_address, transfer.sink, transfer.sid, transfer.resume_asked, transfer.messages, transfer.purpose, transfer.reason, transfer.note, transfer.actor, transfer.created, transfer.changed, transfer.ver
FROM transfer
WHERE transfer.participant = :participant AND transfer.peer = :peer AND transfer.role = :role AND transfer.peer_pid = :peer_pid;

-- transfer.count-open
SELECT count(*) AS count_1
FROM transfer
WHERE transfer.participant = :participant AND (transfer.state IS NULL OR (transfer.state NOT IN ('FINALIZED', 'TERMINATED', 'COMPLETED')));

-- transfer.count-open-of-peer
SELECT count(*) AS count_1
FROM transfer
WHERE transfer.participant = :participant AND transfer.peer = :peer AND (transfer.state IS NULL OR (transfer.state NOT IN ('FINALIZED', 'TERMINATED', 'COMPLETED')));

-- transfer.get
SELECT transfer.pk, transfer.participant, transfer.pid, transfer.role, transfer.peer, transfer.peer_pid, transfer.agreement_id, transfer.format, transfer.state, transfer.pending, transfer.pending_sha, transfer.intent, transfer.callback, transfer.data_address, transfer.sink, transfer.sid, transfer.resume_asked, transfer.messages, transfer.purpose, transfer.reason, transfer.note, transfer.actor, transfer.created, transfer.changed, transfer.ver
FROM transfer
WHERE transfer.participant = :participant AND transfer.pid = :pid;

-- transfer.insert
INSERT INTO transfer (participant, pid, role, peer, peer_pid, agreement_id, format, state, pending, pending_sha, intent, callback, data_address, sink, sid, resume_asked, messages, purpose, reason, note, actor, created, changed, ver) VALUES (:participant, :pid, :role, :peer, :peer_pid, :agreement_id, :format, :state, :pending, :pending_sha, :intent, :callback, :data_address, :sink, :sid, :resume_asked, :messages, :purpose, :reason, :note, :actor, :created, :changed, :ver);

-- transfer.of-agreement
SELECT transfer.pk, transfer.participant, transfer.pid, transfer.role, transfer.peer, transfer.peer_pid, transfer.agreement_id, transfer.format, transfer.state, transfer.pending, transfer.pending_sha, transfer.intent, transfer.callback, transfer.data_address, transfer.sink, transfer.sid, transfer.resume_asked, transfer.messages, transfer.purpose, transfer.reason, transfer.note, transfer.actor, transfer.created, transfer.changed, transfer.ver
FROM transfer
WHERE transfer.participant = :participant AND transfer.agreement_id = :agreement_id ORDER BY transfer.pk;

-- transfer.open
SELECT transfer.pk, transfer.participant, transfer.pid, transfer.role, transfer.peer, transfer.peer_pid, transfer.agreement_id, transfer.format, transfer.state, transfer.pending, transfer.pending_sha, transfer.intent, transfer.callback, transfer.data_address, transfer.sink, transfer.sid, transfer.resume_asked, transfer.messages, transfer.purpose, transfer.reason, transfer.note, transfer.actor, transfer.created, transfer.changed, transfer.ver
FROM transfer
WHERE transfer.pk > :after AND transfer.participant = :participant AND (transfer.state IS NULL OR (transfer.state NOT IN ('FINALIZED', 'TERMINATED', 'COMPLETED'))) ORDER BY transfer.pk
LIMIT :limit;

-- transfer.page
SELECT transfer.pk, transfer.participant, transfer.pid, transfer.role, transfer.peer, transfer.peer_pid, transfer.agreement_id, transfer.format, transfer.state, transfer.pending, transfer.pending_sha, transfer.intent, transfer.callback, transfer.data_address, transfer.sink, transfer.sid, transfer.resume_asked, transfer.messages, transfer.purpose, transfer.reason, transfer.note, transfer.actor, transfer.created, transfer.changed, transfer.ver
FROM transfer
WHERE transfer.pk > :after AND transfer.participant = :participant ORDER BY transfer.pk
LIMIT :limit;

-- transfer.page-of-state
SELECT transfer.pk, transfer.participant, transfer.pid, transfer.role, transfer.peer, transfer.peer_pid, transfer.agreement_id, transfer.format, transfer.state, transfer.pending, transfer.pending_sha, transfer.intent, transfer.callback, transfer.data_address, transfer.sink, transfer.sid, transfer.resume_asked, transfer.messages, transfer.purpose, transfer.reason, transfer.note, transfer.actor, transfer.created, transfer.changed, transfer.ver
FROM transfer
WHERE transfer.pk > :after AND transfer.participant = :participant AND transfer.state = :state ORDER BY transfer.pk
LIMIT :limit;

-- transfer.stuck
SELECT transfer.pk, transfer.participant, transfer.pid, transfer.role, transfer.peer, transfer.peer_pid, transfer.agreement_id, transfer.format, transfer.state, transfer.pending, transfer.pending_sha, transfer.intent, transfer.callback, transfer.data_address, transfer.sink, transfer.sid, transfer.resume_asked, transfer.messages, transfer.purpose, transfer.reason, transfer.note, transfer.actor, transfer.created, transfer.changed, transfer.ver
FROM transfer
WHERE transfer.participant = :participant AND (transfer.state IS NULL OR (transfer.state NOT IN ('FINALIZED', 'TERMINATED', 'COMPLETED'))) AND transfer.pending IS NOT NULL AND NOT (EXISTS (SELECT *
FROM outbox
WHERE outbox.participant = transfer.participant AND outbox.process = transfer.pid AND outbox.state IN ('queued', 'sending', 'dead'))) ORDER BY transfer.pk;

-- transfer.update
UPDATE transfer SET peer_pid=:peer_pid, state=:state, pending=:pending, pending_sha=:pending_sha, intent=:intent, callback=:callback, data_address=:data_address, sink=:sink, sid=:sid, resume_asked=:resume_asked, messages=:messages, purpose=:purpose, reason=:reason, note=:note, actor=:actor, changed=:changed, ver=(transfer.ver + 1) WHERE transfer.participant = :participant AND transfer.pid = :pid AND transfer.ver = :ver;

-- user.by-login
SELECT user.pk, user.user_id, user.login, user.name, user.oidc_iss, user.oidc_sub, user.state, user.created, user.ver
FROM user
WHERE user.login = :login;

-- user.by-oidc
SELECT user.pk, user.user_id, user.login, user.name, user.oidc_iss, user.oidc_sub, user.state, user.created, user.ver
FROM user
WHERE user.oidc_iss = :oidc_iss AND user.oidc_sub = :oidc_sub;

-- user.count
SELECT count(*) AS count_1
FROM user;

-- user.get
SELECT user.pk, user.user_id, user.login, user.name, user.oidc_iss, user.oidc_sub, user.state, user.created, user.ver
FROM user
WHERE user.user_id = :user_id;

-- user.insert
INSERT INTO user (user_id, login, name, oidc_iss, oidc_sub, state, created, ver) VALUES (:user_id, :login, :name, :oidc_iss, :oidc_sub, :state, :created, :ver);

-- user.page
SELECT user.pk, user.user_id, user.login, user.name, user.oidc_iss, user.oidc_sub, user.state, user.created, user.ver
FROM user
WHERE user.pk > :after AND 1 = 1 ORDER BY user.pk
LIMIT :limit;

-- user.update
UPDATE user SET login=:login, name=:name, oidc_iss=:oidc_iss, oidc_sub=:oidc_sub, state=:state, ver=(user.ver + 1) WHERE user.user_id = :user_id AND user.ver = :ver;

-- wake.delete
DELETE FROM wake WHERE wake.participant = :participant AND wake.kind = :kind AND wake.subject = :subject;

-- wake.delete-of-subject
DELETE FROM wake WHERE wake.participant = :participant AND wake.subject = :subject;

-- wake.get
SELECT wake.pk, wake.participant, wake.kind, wake.subject, wake.at, wake.claim_until
FROM wake
WHERE wake.participant = :participant AND wake.kind = :kind AND wake.subject = :subject;

-- wake.insert
INSERT INTO wake (participant, kind, subject, at, claim_until) VALUES (:participant, :kind, :subject, :at, :claim_until);

-- wake.node-all
SELECT wake.pk, wake.participant, wake.kind, wake.subject, wake.at, wake.claim_until
FROM wake ORDER BY wake.at, wake.pk;

-- wake.node-due
SELECT wake.pk, wake.participant, wake.kind, wake.subject, wake.at, wake.claim_until
FROM wake
WHERE wake.at <= :now ORDER BY wake.at, wake.pk
LIMIT :limit;

-- wake.node-first
SELECT wake.pk, wake.participant, wake.kind, wake.subject, wake.at, wake.claim_until
FROM wake ORDER BY wake.at, wake.pk
LIMIT :limit;

-- wake.of-subject
SELECT wake.pk, wake.participant, wake.kind, wake.subject, wake.at, wake.claim_until
FROM wake
WHERE wake.participant = :participant AND wake.subject = :subject ORDER BY wake.pk;

-- wake.put
INSERT INTO wake (participant, kind, subject, at, claim_until) VALUES (:participant, :kind, :subject, :at, :claim_until) ON CONFLICT (participant, kind, subject) DO UPDATE SET at = excluded.at, claim_until = excluded.claim_until;

-- wake.update
UPDATE wake SET at=:at, claim_until=:claim_until WHERE wake.participant = :participant AND wake.kind = :kind AND wake.subject = :subject;
