BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL,
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0005');
CREATE TABLE attempt (
	id INTEGER NOT NULL,
	delivery_id VARCHAR(32) NOT NULL,
	fence INTEGER NOT NULL,
	began_at DATETIME NOT NULL,
	ended_at DATETIME NOT NULL,
	result VARCHAR(10) NOT NULL,
	reason TEXT NOT NULL,
	PRIMARY KEY (id)
);
INSERT INTO "attempt" VALUES(901,'d1',1,'2026-11-17 10:15:04.000000','2026-11-17 10:15:05.000000','accepted','');
CREATE TABLE "audit" (
	id INTEGER NOT NULL,
	at DATETIME NOT NULL,
	"by" TEXT NOT NULL,
	action VARCHAR(20) NOT NULL,
	enrolment_id VARCHAR(32),
	batch VARCHAR(32),
	words TEXT NOT NULL,
	place TEXT,
	PRIMARY KEY (id)
);
INSERT INTO "audit" VALUES(901,'2026-11-16 15:01:00.000000','priya@example.org','at','e1',NULL,'send_at: 09:30 → 10:15','10.0.0.7');
CREATE TABLE delivery (
	id VARCHAR(32) NOT NULL,
	enrolment_id VARCHAR(32) NOT NULL,
	lesson VARCHAR(80) NOT NULL,
	state VARCHAR(10) NOT NULL,
	edition VARCHAR(64) NOT NULL,
	merge JSON NOT NULL,
	address VARCHAR(320) NOT NULL,
	reasons JSON NOT NULL,
	planned_for DATETIME NOT NULL,
	claimed_at DATETIME NOT NULL,
	lease_until DATETIME NOT NULL,
	fence INTEGER NOT NULL,
	tries INTEGER NOT NULL,
	settled_at DATETIME,
	reference TEXT,
	outcome TEXT NOT NULL, looks INTEGER DEFAULT '0' NOT NULL, looked_at DATETIME, fate VARCHAR(20),
	PRIMARY KEY (id),
	UNIQUE (enrolment_id, lesson),
	FOREIGN KEY(enrolment_id) REFERENCES enrolment (id),
	FOREIGN KEY(edition) REFERENCES edition (hash)
);
INSERT INTO "delivery" VALUES('d1','e1','welcome','accepted','0a1b','{}','amy.jones@example.org','[]','2026-11-17 10:15:00.000000','2026-11-17 10:15:04.000000','2026-11-17 10:16:04.000000',1,0,'2026-11-17 10:15:05.000000','r1','',0,NULL,NULL);
CREATE TABLE edition (
	hash VARCHAR(64) NOT NULL,
	content TEXT NOT NULL,
	PRIMARY KEY (hash)
);
INSERT INTO "edition" VALUES('0a1b','{}');
CREATE TABLE "enrolment" (
	id VARCHAR(32) NOT NULL,
	subscriber_id VARCHAR(80) NOT NULL,
	enrolled_at DATETIME NOT NULL,
	status VARCHAR(20) NOT NULL,
	first_appointment DATE NOT NULL,
	start DATE,
	send_at VARCHAR(5),
	timezone VARCHAR(64),
	pace INTEGER,
	hold JSON NOT NULL,
	skip JSON NOT NULL,
	physiotherapist TEXT,
	note TEXT,
	applied JSON NOT NULL,
	next_due_at DATETIME,
	owed JSON DEFAULT '[]' NOT NULL,
	anchor JSON,
	replaced_at DATETIME, style VARCHAR(10), call_asked_at DATETIME, at_once DATETIME,
	PRIMARY KEY (id),
	FOREIGN KEY(subscriber_id) REFERENCES subscriber (id)
);
INSERT INTO "enrolment" VALUES('e1','amy','2026-11-16 15:00:00.000000','active','2026-11-16',NULL,'10:15',NULL,NULL,'[]','["scans"]','Priya Shah',NULL,'{}','2026-11-24 10:15:00.000000','[]',NULL,NULL,NULL,NULL,NULL);
CREATE TABLE event (
	id VARCHAR(100) NOT NULL,
	delivery_id VARCHAR(32),
	kind VARCHAR(40) NOT NULL,
	at DATETIME,
	taken_at DATETIME NOT NULL,
	reason TEXT NOT NULL,
	PRIMARY KEY (id)
);
INSERT INTO "event" VALUES('ev1','d1','delivered','2026-11-17 10:15:09.000000','2026-11-17 10:15:10.000000','');
CREATE TABLE fact (
	name VARCHAR(40) NOT NULL,
	value TEXT NOT NULL,
	PRIMARY KEY (name)
);
INSERT INTO "fact" VALUES('kept','yes');
INSERT INTO "fact" VALUES('consent 3f9a1c2e','You get a letter a week.');
CREATE TABLE failure (
	id INTEGER NOT NULL,
	mark VARCHAR(32) NOT NULL,
	at DATETIME NOT NULL,
	PRIMARY KEY (id)
);
INSERT INTO "failure" VALUES(901,'00bb','2026-11-16 14:00:00.000000');
CREATE TABLE session (
	hash VARCHAR(64) NOT NULL,
	staff_id VARCHAR(32) NOT NULL,
	began_at DATETIME NOT NULL,
	seen_at DATETIME NOT NULL,
	PRIMARY KEY (hash),
	FOREIGN KEY(staff_id) REFERENCES staff (id)
);
INSERT INTO "session" VALUES('00aa','s1','2026-11-16 14:00:00.000000','2026-11-16 15:00:00.000000');
CREATE TABLE staff (
	id VARCHAR(32) NOT NULL,
	email VARCHAR(320) NOT NULL,
	name TEXT NOT NULL,
	role VARCHAR(20) NOT NULL,
	password TEXT NOT NULL,
	invite VARCHAR(64),
	invited_at DATETIME,
	ended_at DATETIME, totp TEXT, totp_used INTEGER,
	PRIMARY KEY (id),
	UNIQUE (email)
);
INSERT INTO "staff" VALUES('s1','priya@example.org','Priya Shah','physiotherapist','',NULL,NULL,NULL,NULL,NULL);
CREATE TABLE subscriber (
	id VARCHAR(80) NOT NULL,
	email VARCHAR(320) NOT NULL,
	name TEXT NOT NULL,
	consent DATE NOT NULL, agreed_to VARCHAR(40),
	PRIMARY KEY (id)
);
INSERT INTO "subscriber" VALUES('amy','amy.jones@example.org','Amy Jones','2026-11-16','3f9a1c2e');
CREATE TABLE suppression (
	mark VARCHAR(32) NOT NULL,
	reason VARCHAR(20) NOT NULL,
	at DATETIME NOT NULL,
	"by" TEXT NOT NULL,
	PRIMARY KEY (mark)
);
INSERT INTO "suppression" VALUES('00ff','stopped','2026-11-17 12:00:00.000000','patient');
CREATE TABLE undo (
	audit_id INTEGER NOT NULL,
	"before" JSON,
	PRIMARY KEY (audit_id),
	FOREIGN KEY(audit_id) REFERENCES audit (id)
);
INSERT INTO "undo" VALUES(901,NULL);
CREATE INDEX ix_subscriber_email ON subscriber (email);
CREATE INDEX ix_delivery_lease ON delivery (state, lease_until);
CREATE INDEX ix_enrolment_next_due_at ON enrolment (next_due_at);
CREATE INDEX ix_enrolment_subscriber_id ON enrolment (subscriber_id);
CREATE INDEX ix_delivery_reference ON delivery (reference);
CREATE INDEX ix_attempt_delivery_id ON attempt (delivery_id);
CREATE INDEX ix_event_delivery_id ON event (delivery_id);
CREATE INDEX ix_session_staff_id ON session (staff_id);
CREATE INDEX ix_failure_mark ON failure (mark);
CREATE INDEX ix_audit_batch ON audit (batch);
CREATE INDEX ix_audit_enrolment_id ON audit (enrolment_id);
CREATE TRIGGER audit_delete BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit only grows'); END;
CREATE TRIGGER audit_update BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit only grows'); END;
COMMIT;
