-- SPDX-License-Identifier: Apache-2.0
-- Revision 0001. Never edited.

CREATE TABLE act (
pk INTEGER NOT NULL,
participant TEXT NOT NULL,
act_id TEXT NOT NULL,
sid TEXT NOT NULL,
kind TEXT NOT NULL,
started INTEGER NOT NULL,
state TEXT NOT NULL,
detail BLOB NOT NULL,
PRIMARY KEY (pk),
CONSTRAINT act_key UNIQUE (participant, act_id)
)
STRICT;

CREATE INDEX act_open ON act (participant, sid) WHERE state = 'open';

CREATE TABLE agreement (
pk INTEGER NOT NULL,
participant TEXT NOT NULL,
agreement_id TEXT NOT NULL,
role TEXT NOT NULL,
peer TEXT NOT NULL,
provider TEXT NOT NULL,
consumer TEXT NOT NULL,
asset TEXT NOT NULL,
service TEXT NOT NULL,
raw BLOB NOT NULL,
sha256 TEXT NOT NULL,
meaning TEXT NOT NULL,
terms_sha TEXT NOT NULL,
permit BLOB NOT NULL,
permit_sha TEXT NOT NULL,
purpose TEXT,
detail BLOB NOT NULL,
negotiation TEXT,
state TEXT NOT NULL,
signed_at INTEGER NOT NULL,
ends_at INTEGER,
reason TEXT,
created INTEGER NOT NULL,
changed INTEGER NOT NULL,
ver INTEGER NOT NULL,
PRIMARY KEY (pk),
CONSTRAINT agreement_key UNIQUE (participant, agreement_id, role)
)
STRICT;

CREATE INDEX agreement_asset ON agreement (participant, asset, state);

CREATE INDEX agreement_ends ON agreement (participant, ends_at);

CREATE INDEX agreement_page ON agreement (participant, pk);

CREATE INDEX agreement_state ON agreement (participant, state, pk);

CREATE TABLE api_token (
pk INTEGER NOT NULL,
token_id TEXT NOT NULL,
user_id TEXT NOT NULL,
kind TEXT NOT NULL,
prefix TEXT NOT NULL,
sha256 TEXT NOT NULL,
roles BLOB NOT NULL,
scope TEXT,
csrf TEXT,
created INTEGER NOT NULL,
expires INTEGER NOT NULL,
last_used INTEGER,
PRIMARY KEY (pk),
CONSTRAINT api_token_sha256 UNIQUE (sha256),
CONSTRAINT api_token_key UNIQUE (token_id)
)
STRICT;

CREATE INDEX api_token_expires ON api_token (expires);

CREATE INDEX api_token_user ON api_token (user_id);

CREATE TABLE approval (
pk INTEGER NOT NULL,
participant TEXT NOT NULL,
approval_id TEXT NOT NULL,
subject TEXT NOT NULL,
office TEXT NOT NULL,
rule TEXT NOT NULL,
facts BLOB NOT NULL,
asked INTEGER NOT NULL,
expires INTEGER NOT NULL,
state TEXT NOT NULL,
"by" TEXT,
reason TEXT,
leaf TEXT,
ver INTEGER NOT NULL,
PRIMARY KEY (pk),
CONSTRAINT approval_subject UNIQUE (participant, subject, rule, office),
CONSTRAINT approval_key UNIQUE (participant, approval_id)
)
STRICT;

CREATE INDEX approval_page ON approval (participant, pk);

CREATE INDEX approval_state ON approval (participant, state, pk);

CREATE TABLE asset (
pk INTEGER NOT NULL,
participant TEXT NOT NULL,
asset_id TEXT NOT NULL,
service TEXT NOT NULL,
title TEXT NOT NULL,
description TEXT NOT NULL,
source BLOB NOT NULL,
detail BLOB NOT NULL,
state TEXT NOT NULL,
created INTEGER NOT NULL,
changed INTEGER NOT NULL,
ver INTEGER NOT NULL,
PRIMARY KEY (pk),
CONSTRAINT asset_key UNIQUE (participant, asset_id)
)
STRICT;

CREATE INDEX asset_page ON asset (participant, pk);

CREATE TABLE counter (
pk INTEGER NOT NULL,
participant TEXT NOT NULL,
scope TEXT NOT NULL,
operand TEXT NOT NULL,
window_start INTEGER NOT NULL,
used INTEGER NOT NULL,
held INTEGER NOT NULL,
cap INTEGER NOT NULL,
ver INTEGER NOT NULL,
PRIMARY KEY (pk),
CONSTRAINT counter_key UNIQUE (participant, scope, operand, window_start)
)
STRICT;

CREATE TABLE duty (
pk INTEGER NOT NULL,
participant TEXT NOT NULL,
agreement_id TEXT NOT NULL,
kind TEXT NOT NULL,
due INTEGER NOT NULL,
state TEXT NOT NULL,
leaf TEXT,
detail BLOB NOT NULL,
ver INTEGER NOT NULL,
PRIMARY KEY (pk),
CONSTRAINT duty_key UNIQUE (participant, agreement_id, kind, due)
)
STRICT;

CREATE INDEX duty_page ON duty (participant, pk);

CREATE INDEX duty_state ON duty (participant, state, pk);

CREATE TABLE event (
pk INTEGER NOT NULL,
participant TEXT NOT NULL,
kind TEXT NOT NULL,
subject TEXT NOT NULL,
data BLOB NOT NULL,
at INTEGER NOT NULL,
PRIMARY KEY (pk)
)
STRICT;

CREATE INDEX event_at ON event (participant, at);

CREATE INDEX event_page ON event (participant, pk);

CREATE TABLE grant (
pk INTEGER NOT NULL,
participant TEXT NOT NULL,
user_id TEXT NOT NULL,
kind TEXT NOT NULL,
name TEXT NOT NULL,
created INTEGER NOT NULL,
PRIMARY KEY (pk),
CONSTRAINT grant_key UNIQUE (participant, user_id, kind, name)
)
STRICT;

CREATE INDEX grant_user ON grant (user_id);

CREATE TABLE idempotency (
pk INTEGER NOT NULL,
participant TEXT NOT NULL,
user_id TEXT NOT NULL,
"key" TEXT NOT NULL,
request_sha TEXT NOT NULL,
status INTEGER,
answer BLOB,
expires INTEGER NOT NULL,
PRIMARY KEY (pk),
CONSTRAINT idempotency_key UNIQUE (participant, user_id, "key")
)
STRICT;

CREATE INDEX idempotency_expires ON idempotency (participant, expires);

CREATE TABLE inbox (
pk INTEGER NOT NULL,
participant TEXT NOT NULL,
process TEXT NOT NULL,
message_id TEXT,
sha256 TEXT NOT NULL,
type TEXT NOT NULL,
answer BLOB,
at INTEGER NOT NULL,
PRIMARY KEY (pk)
)
STRICT;

CREATE INDEX inbox_at ON inbox (participant, at);

CREATE INDEX inbox_digest ON inbox (participant, process, sha256);

CREATE INDEX inbox_message ON inbox (participant, process, message_id);

CREATE TABLE job (
pk INTEGER NOT NULL,
participant TEXT NOT NULL,
kind TEXT NOT NULL,
subject TEXT NOT NULL,
state TEXT NOT NULL,
args BLOB NOT NULL,
progress BLOB NOT NULL,
claim TEXT,
claim_until INTEGER,
attempts INTEGER NOT NULL,
error TEXT,
ver INTEGER NOT NULL,
PRIMARY KEY (pk),
CONSTRAINT job_key UNIQUE (participant, kind, subject)
)
STRICT;

CREATE INDEX job_state ON job (state, claim_until);

CREATE TABLE ledger (
pk INTEGER NOT NULL,
participant TEXT NOT NULL,
epoch INTEGER NOT NULL,
origin TEXT NOT NULL,
state TEXT NOT NULL,
size INTEGER NOT NULL,
root BLOB NOT NULL,
last_time INTEGER NOT NULL,
PRIMARY KEY (pk),
CONSTRAINT ledger_key UNIQUE (participant, epoch)
)
STRICT;

CREATE UNIQUE INDEX ledger_open ON ledger (participant) WHERE state <> 'closed';

CREATE TABLE ledger_chain (
pk INTEGER NOT NULL,
ledger INTEGER NOT NULL,
thread TEXT NOT NULL,
number INTEGER NOT NULL,
leaf BLOB NOT NULL,
PRIMARY KEY (pk),
CONSTRAINT ledger_chain_key UNIQUE (ledger, thread)
)
STRICT;

CREATE TABLE ledger_checkpoint (
pk INTEGER NOT NULL,
ledger INTEGER NOT NULL,
size INTEGER NOT NULL,
note BLOB NOT NULL,
at INTEGER NOT NULL,
PRIMARY KEY (pk),
CONSTRAINT ledger_checkpoint_key UNIQUE (ledger, size)
)
STRICT;

CREATE TABLE ledger_entry (
pk INTEGER NOT NULL,
ledger INTEGER NOT NULL,
id TEXT NOT NULL,
type TEXT NOT NULL,
thread TEXT,
time INTEGER NOT NULL,
body BLOB NOT NULL,
"index" INTEGER,
number INTEGER,
prior BLOB,
leaf BLOB,
PRIMARY KEY (pk),
CONSTRAINT ledger_entry_index UNIQUE (ledger, "index"),
CONSTRAINT ledger_entry_key UNIQUE (id)
)
STRICT;

CREATE UNIQUE INDEX ledger_entry_thread ON ledger_entry (ledger, thread, number) WHERE number IS NOT NULL;

CREATE INDEX ledger_entry_unplaced ON ledger_entry ("index", pk) WHERE "index" IS NULL;

CREATE TABLE ledger_payload (
pk INTEGER NOT NULL,
ledger INTEGER NOT NULL,
entry TEXT NOT NULL,
slot TEXT NOT NULL,
digest TEXT NOT NULL,
sealed BLOB,
erased INTEGER,
PRIMARY KEY (pk),
CONSTRAINT ledger_payload_key UNIQUE (ledger, digest)
)
STRICT;

CREATE INDEX ledger_payload_entry ON ledger_payload (ledger, entry);

CREATE TABLE ledger_tile (
pk INTEGER NOT NULL,
ledger INTEGER NOT NULL,
level INTEGER NOT NULL,
n INTEGER NOT NULL,
hashes BLOB NOT NULL,
PRIMARY KEY (pk),
CONSTRAINT ledger_tile_key UNIQUE (ledger, level, n)
)
STRICT;

CREATE TABLE meta (
pk INTEGER NOT NULL,
name TEXT NOT NULL,
value TEXT NOT NULL,
PRIMARY KEY (pk),
CONSTRAINT meta_key UNIQUE (name)
)
STRICT;

CREATE TABLE negotiation (
pk INTEGER NOT NULL,
participant TEXT NOT NULL,
pid TEXT NOT NULL,
role TEXT NOT NULL,
peer TEXT NOT NULL,
peer_pid TEXT,
state TEXT,
pending TEXT,
pending_sha TEXT,
intent TEXT,
offer_id TEXT,
offer_raw BLOB,
offer_from TEXT,
wish_sha TEXT,
terms_sha TEXT,
rounds INTEGER NOT NULL,
messages INTEGER NOT NULL,
asset TEXT,
service TEXT,
detail BLOB,
purpose TEXT,
callback TEXT,
agreement_id TEXT,
reason TEXT,
note TEXT,
actor TEXT,
created INTEGER NOT NULL,
changed INTEGER NOT NULL,
ver INTEGER NOT NULL,
PRIMARY KEY (pk),
CONSTRAINT negotiation_peer_pid UNIQUE (participant, peer, role, peer_pid),
CONSTRAINT negotiation_key UNIQUE (participant, pid)
)
STRICT;

CREATE INDEX negotiation_page ON negotiation (participant, pk);

CREATE INDEX negotiation_state ON negotiation (participant, state, pk);

CREATE TABLE node_process (
pk INTEGER NOT NULL,
process_id TEXT NOT NULL,
started INTEGER NOT NULL,
beat INTEGER NOT NULL,
version TEXT NOT NULL,
host TEXT NOT NULL,
PRIMARY KEY (pk),
CONSTRAINT node_process_key UNIQUE (process_id)
)
STRICT;

CREATE TABLE offer (
pk INTEGER NOT NULL,
participant TEXT NOT NULL,
offer_id TEXT NOT NULL,
asset TEXT NOT NULL,
terms TEXT NOT NULL,
terms_sha TEXT NOT NULL,
formats BLOB NOT NULL,
audience BLOB NOT NULL,
detail BLOB NOT NULL,
state TEXT NOT NULL,
valid_from INTEGER,
valid_until INTEGER,
created INTEGER NOT NULL,
changed INTEGER NOT NULL,
ver INTEGER NOT NULL,
PRIMARY KEY (pk),
CONSTRAINT offer_key UNIQUE (participant, offer_id)
)
STRICT;

CREATE INDEX offer_asset ON offer (participant, asset);

CREATE INDEX offer_page ON offer (participant, pk);

CREATE INDEX offer_state ON offer (participant, state, pk);

CREATE TABLE outbox (
pk INTEGER NOT NULL,
participant TEXT NOT NULL,
process TEXT NOT NULL,
peer TEXT NOT NULL,
message_id TEXT NOT NULL,
type TEXT NOT NULL,
url TEXT NOT NULL,
body BLOB NOT NULL,
sha256 TEXT NOT NULL,
state TEXT NOT NULL,
attempts INTEGER NOT NULL,
next_at INTEGER NOT NULL,
give_up_at INTEGER NOT NULL,
claim TEXT,
claim_until INTEGER,
error TEXT,
created INTEGER NOT NULL,
PRIMARY KEY (pk),
CONSTRAINT outbox_key UNIQUE (participant, message_id)
)
STRICT;

CREATE INDEX outbox_created ON outbox (participant, state, created);

CREATE INDEX outbox_peer ON outbox (participant, peer, state);

CREATE UNIQUE INDEX outbox_process ON outbox (participant, process) WHERE state IN ('queued', 'sending');

CREATE INDEX outbox_state ON outbox (state, next_at);

CREATE TABLE participant (
pk INTEGER NOT NULL,
slug TEXT NOT NULL,
did TEXT NOT NULL,
title TEXT NOT NULL,
mode TEXT NOT NULL,
settings BLOB NOT NULL,
state TEXT NOT NULL,
created INTEGER NOT NULL,
ver INTEGER NOT NULL,
PRIMARY KEY (pk),
CONSTRAINT participant_did UNIQUE (did),
CONSTRAINT participant_key UNIQUE (slug)
)
STRICT;

CREATE TABLE peer (
pk INTEGER NOT NULL,
participant TEXT NOT NULL,
did TEXT NOT NULL,
handle TEXT NOT NULL,
title TEXT NOT NULL,
address TEXT NOT NULL,
version TEXT NOT NULL,
quirks BLOB NOT NULL,
callback_check TEXT,
last_seen INTEGER,
failures INTEGER NOT NULL,
down_until INTEGER,
detail BLOB NOT NULL,
created INTEGER NOT NULL,
ver INTEGER NOT NULL,
PRIMARY KEY (pk),
CONSTRAINT peer_handle UNIQUE (participant, handle),
CONSTRAINT peer_key UNIQUE (participant, did)
)
STRICT;

CREATE INDEX peer_page ON peer (participant, pk);

CREATE TABLE reservation (
pk INTEGER NOT NULL,
participant TEXT NOT NULL,
request_id TEXT NOT NULL,
scope TEXT NOT NULL,
operand TEXT NOT NULL,
window_start INTEGER NOT NULL,
amount INTEGER NOT NULL,
state TEXT NOT NULL,
owner TEXT NOT NULL,
at INTEGER NOT NULL,
PRIMARY KEY (pk),
CONSTRAINT reservation_key UNIQUE (participant, request_id, scope, operand, window_start)
)
STRICT;

CREATE INDEX reservation_held ON reservation (participant, owner) WHERE state = 'held';

CREATE TABLE revocation (
pk INTEGER NOT NULL,
participant TEXT NOT NULL,
kind TEXT NOT NULL,
subject TEXT NOT NULL,
at INTEGER NOT NULL,
PRIMARY KEY (pk)
)
STRICT;

CREATE INDEX revocation_subject ON revocation (participant, subject);

CREATE TABLE seen_token (
pk INTEGER NOT NULL,
participant TEXT NOT NULL,
issuer TEXT NOT NULL,
jti TEXT NOT NULL,
expires INTEGER NOT NULL,
PRIMARY KEY (pk),
CONSTRAINT seen_token_key UNIQUE (participant, issuer, jti)
)
STRICT;

CREATE INDEX seen_token_expires ON seen_token (participant, expires);

CREATE TABLE session (
pk INTEGER NOT NULL,
participant TEXT NOT NULL,
sid TEXT NOT NULL,
transfer TEXT NOT NULL,
agreement_id TEXT NOT NULL,
asset TEXT NOT NULL,
service TEXT NOT NULL,
permit_sha TEXT NOT NULL,
generation INTEGER NOT NULL,
generation_at INTEGER NOT NULL,
purpose TEXT,
opened INTEGER NOT NULL,
expires INTEGER NOT NULL,
state TEXT NOT NULL,
detail BLOB NOT NULL,
reason TEXT,
ver INTEGER NOT NULL,
PRIMARY KEY (pk),
CONSTRAINT session_transfer UNIQUE (participant, transfer),
CONSTRAINT session_key UNIQUE (participant, sid)
)
STRICT;

CREATE INDEX session_agreement ON session (participant, agreement_id);

CREATE INDEX session_state ON session (participant, state);

CREATE TABLE signing_key (
pk INTEGER NOT NULL,
participant TEXT NOT NULL,
kid TEXT NOT NULL,
use TEXT NOT NULL,
alg TEXT NOT NULL,
public BLOB NOT NULL,
sealed BLOB,
state TEXT NOT NULL,
valid_from INTEGER,
valid_until INTEGER,
created INTEGER NOT NULL,
ver INTEGER NOT NULL,
PRIMARY KEY (pk),
CONSTRAINT signing_key_key UNIQUE (participant, kid)
)
STRICT;

CREATE TABLE terms (
pk INTEGER NOT NULL,
participant TEXT NOT NULL,
terms_id TEXT NOT NULL,
yaml TEXT NOT NULL,
odrl BLOB NOT NULL,
sha256 TEXT NOT NULL,
created INTEGER NOT NULL,
PRIMARY KEY (pk),
CONSTRAINT terms_sha256 UNIQUE (participant, sha256),
CONSTRAINT terms_key UNIQUE (participant, terms_id)
)
STRICT;

CREATE TABLE transfer (
pk INTEGER NOT NULL,
participant TEXT NOT NULL,
pid TEXT NOT NULL,
role TEXT NOT NULL,
peer TEXT NOT NULL,
peer_pid TEXT,
agreement_id TEXT NOT NULL,
format TEXT NOT NULL,
state TEXT,
pending TEXT,
pending_sha TEXT,
intent TEXT,
callback TEXT,
data_address BLOB,
sink BLOB,
sid TEXT,
resume_asked INTEGER NOT NULL,
messages INTEGER NOT NULL,
purpose TEXT,
reason TEXT,
note TEXT,
actor TEXT,
created INTEGER NOT NULL,
changed INTEGER NOT NULL,
ver INTEGER NOT NULL,
PRIMARY KEY (pk),
CONSTRAINT transfer_peer_pid UNIQUE (participant, peer, role, peer_pid),
CONSTRAINT transfer_key UNIQUE (participant, pid)
)
STRICT;

CREATE INDEX transfer_agreement ON transfer (participant, agreement_id, state);

CREATE INDEX transfer_page ON transfer (participant, pk);

CREATE INDEX transfer_state ON transfer (participant, state, pk);

CREATE TABLE user (
pk INTEGER NOT NULL,
user_id TEXT NOT NULL,
login TEXT NOT NULL,
name TEXT NOT NULL,
oidc_iss TEXT,
oidc_sub TEXT,
state TEXT NOT NULL,
created INTEGER NOT NULL,
ver INTEGER NOT NULL,
PRIMARY KEY (pk),
CONSTRAINT user_login UNIQUE (login),
CONSTRAINT user_oidc UNIQUE (oidc_iss, oidc_sub),
CONSTRAINT user_key UNIQUE (user_id)
)
STRICT;

CREATE TABLE wake (
pk INTEGER NOT NULL,
participant TEXT NOT NULL,
kind TEXT NOT NULL,
subject TEXT NOT NULL,
at INTEGER NOT NULL,
claim_until INTEGER,
PRIMARY KEY (pk),
CONSTRAINT wake_key UNIQUE (participant, kind, subject)
)
STRICT;

CREATE INDEX wake_at ON wake (at);

CREATE TRIGGER ledger_entry_placed BEFORE UPDATE ON ledger_entry
WHEN OLD."index" IS NOT NULL OR NEW.body IS NOT OLD.body OR NEW.ledger <> OLD.ledger
BEGIN SELECT RAISE(ABORT, 'a ledger entry never changes'); END;

CREATE TRIGGER ledger_entry_kept BEFORE DELETE ON ledger_entry
BEGIN SELECT RAISE(ABORT, 'a ledger entry stays'); END;
