BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL,
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0001');
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
	outcome TEXT NOT NULL,
	PRIMARY KEY (id),
	UNIQUE (enrolment_id, lesson),
	FOREIGN KEY(enrolment_id) REFERENCES enrolment (id),
	FOREIGN KEY(edition) REFERENCES edition (hash)
);
INSERT INTO "delivery" VALUES('d1','e1','welcome','accepted','0a1b','{}','amy.jones@example.org','[]','2026-11-17 10:15:00.000000','2026-11-17 10:15:04.000000','2026-11-17 10:16:04.000000',1,0,'2026-11-17 10:15:05.000000','r1','');
CREATE TABLE edition (
	hash VARCHAR(64) NOT NULL,
	content TEXT NOT NULL,
	PRIMARY KEY (hash)
);
INSERT INTO "edition" VALUES('0a1b','{}');
CREATE TABLE enrolment (
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
	stop_token VARCHAR(64) NOT NULL,
	next_due_at DATETIME,
	PRIMARY KEY (id),
	FOREIGN KEY(subscriber_id) REFERENCES subscriber (id),
	UNIQUE (stop_token)
);
INSERT INTO "enrolment" VALUES('e1','amy','2026-11-16 15:00:00.000000','active','2026-11-16',NULL,'10:15',NULL,NULL,'[]','["scans"]','Priya Shah',NULL,'{}','t1','2026-11-24 10:15:00.000000');
CREATE TABLE fact (
	name VARCHAR(40) NOT NULL,
	value TEXT NOT NULL,
	PRIMARY KEY (name)
);
INSERT INTO "fact" VALUES('kept','yes');
CREATE TABLE subscriber (
	id VARCHAR(80) NOT NULL,
	email VARCHAR(320) NOT NULL,
	name TEXT NOT NULL,
	consent DATE NOT NULL,
	PRIMARY KEY (id)
);
INSERT INTO "subscriber" VALUES('amy','amy.jones@example.org','Amy Jones','2026-11-16');
CREATE INDEX ix_subscriber_email ON subscriber (email);
CREATE INDEX ix_enrolment_next_due_at ON enrolment (next_due_at);
CREATE INDEX ix_enrolment_subscriber_id ON enrolment (subscriber_id);
CREATE INDEX ix_delivery_lease ON delivery (state, lease_until);
COMMIT;
