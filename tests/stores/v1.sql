BEGIN TRANSACTION;
CREATE TABLE attempts (
	id INTEGER NOT NULL, 
	delivery_id INTEGER NOT NULL, 
	started_at DOUBLE NOT NULL, 
	elapsed_s DOUBLE NOT NULL, 
	status_code INTEGER, 
	outcome TEXT NOT NULL, 
	error TEXT, 
	answer TEXT, 
	PRIMARY KEY (id), 
	FOREIGN KEY(delivery_id) REFERENCES deliveries (id) ON DELETE CASCADE
);
INSERT INTO "attempts" VALUES(1,1,1700000000.0,0.25,500,'retry',NULL,'said');
CREATE TABLE call_keys (
	node TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	call_id INTEGER NOT NULL, 
	PRIMARY KEY (node, "key"), 
	FOREIGN KEY(call_id) REFERENCES calls (id) ON DELETE CASCADE
);
INSERT INTO "call_keys" VALUES('pbx1','1700000000.1',1);
INSERT INTO "call_keys" VALUES('pbx1','1700000000.2',1);
INSERT INTO "call_keys" VALUES('pbx1','1700000009.1',2);
CREATE TABLE calls (
	id INTEGER NOT NULL, 
	node TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	state TEXT NOT NULL, 
	started_at DOUBLE NOT NULL, 
	ended_at DOUBLE, 
	told_at DOUBLE, 
	merged_into INTEGER, 
	direction INTEGER, 
	src TEXT, 
	dst TEXT, 
	exten TEXT, 
	facts TEXT, 
	document TEXT, 
	PRIMARY KEY (id)
);
INSERT INTO "calls" VALUES(1,'pbx1','1700000000.1','live',1700000000.0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "calls" VALUES(2,'pbx1','1700000009.1','live',1700000009.0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE cdr_cursor (
	node TEXT NOT NULL, 
	cursor TEXT NOT NULL, 
	PRIMARY KEY (node)
);
INSERT INTO "cdr_cursor" VALUES('pbx1','{"rowid": 7}');
CREATE TABLE cdr_rows (
	id INTEGER NOT NULL, 
	node TEXT NOT NULL, 
	uniqueid TEXT NOT NULL, 
	sequence INTEGER NOT NULL, 
	dstchannel TEXT NOT NULL, 
	start DOUBLE NOT NULL, 
	"row" TEXT NOT NULL, 
	call_id INTEGER NOT NULL, 
	seen_at DOUBLE NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (node, uniqueid, sequence, dstchannel, start), 
	FOREIGN KEY(call_id) REFERENCES calls (id) ON DELETE CASCADE
);
INSERT INTO "cdr_rows" VALUES(1,'pbx1','1700000000.1',1,'Local/3642999425@outside-00000002;1',1700000000.0,'{"uniqueid": "1700000000.1", "linkedid": "1700000000.1", "channel": "PJSIP/trunk-00000001", "dstchannel": "Local/3642999425@outside-00000002;1", "start": 1700000000.0, "answer": null, "end": 1700000005.0, "duration": 5, "billsec": 0, "disposition": "NO ANSWER", "src": "", "dst": "", "clid": "", "dcontext": "", "lastapp": "", "lastdata": "", "accountcode": "", "peeraccount": "", "userfield": "", "sequence": 1, "ivr_digits": null, "custom_field": null, "pincode": null, "cost_location": null, "cc_call": null, "recordingfile": null}',1,1700000000.0);
CREATE TABLE deliveries (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	idempotency_key TEXT NOT NULL, 
	dedupe_key TEXT, 
	node TEXT NOT NULL, 
	client TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	call_id INTEGER NOT NULL, 
	event TEXT NOT NULL, 
	created_at DOUBLE NOT NULL, 
	expires_at DOUBLE, 
	status TEXT NOT NULL, 
	attempts INTEGER NOT NULL, 
	retry_index INTEGER NOT NULL, 
	next_attempt_at DOUBLE NOT NULL, 
	finished_at DOUBLE, 
	error TEXT, 
	request TEXT, 
	UNIQUE (idempotency_key), 
	UNIQUE (dedupe_key)
);
INSERT INTO "deliveries" VALUES(1,'ae56aa20492c4b8697e68319e888869d','a','pbx1','billing','call_end',1,'call_end',1700000000.0,NULL,'queued',1,1,1700000060.0,NULL,NULL,'{"method": "POST", "url": "http://127.0.0.1:9/api", "headers": [["Content-Type", "application/json"]], "body": "{\"id\": 1}", "slots": []}');
INSERT INTO "deliveries" VALUES(2,'f6d9fa91124b4147bdc751b561b4a8b2',NULL,'pbx1','crm','notify',2,'ringing',1700000000.0,NULL,'queued',0,0,1700000000.0,NULL,NULL,'{"method": "POST", "url": "http://127.0.0.1:9/api", "headers": [["Content-Type", "application/json"]], "body": "{\"id\": 1}", "slots": []}');
CREATE TABLE meta (
	"key" TEXT NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY ("key")
);
INSERT INTO "meta" VALUES('schema_version','1');
INSERT INTO "meta" VALUES('next_id','3');
CREATE TABLE recordings (
	reference TEXT NOT NULL, 
	call_id INTEGER NOT NULL, 
	part_id INTEGER, 
	path TEXT NOT NULL, 
	PRIMARY KEY (reference), 
	FOREIGN KEY(call_id) REFERENCES calls (id) ON DELETE CASCADE
);
CREATE INDEX calls_by_state ON calls (state, told_at);
CREATE INDEX deliveries_expiring ON deliveries (node, client, status, expires_at);
CREATE INDEX deliveries_due ON deliveries (node, client, status, next_attempt_at, id);
CREATE INDEX deliveries_by_status ON deliveries (status, finished_at);
CREATE INDEX deliveries_of_call ON deliveries (call_id, client, id);
CREATE INDEX deliveries_of_client ON deliveries (client, id);
CREATE INDEX call_keys_by_call ON call_keys (call_id);
CREATE INDEX cdr_rows_by_call ON cdr_rows (call_id);
CREATE INDEX attempts_of_delivery ON attempts (delivery_id, id);
CREATE INDEX recordings_of_call ON recordings (call_id);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('deliveries',2);
COMMIT;
