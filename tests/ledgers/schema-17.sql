BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('17');
CREATE TABLE alert_messages (
	number INTEGER NOT NULL, 
	at DOUBLE NOT NULL, 
	PRIMARY KEY (number)
);
CREATE TABLE alert_troubles (
	topic VARCHAR NOT NULL, 
	"key" VARCHAR NOT NULL, 
	name VARCHAR NOT NULL, 
	since DOUBLE NOT NULL, 
	newest BIGINT NOT NULL, 
	risen_at DOUBLE, 
	gone_at DOUBLE, 
	told_at DOUBLE, 
	PRIMARY KEY (topic, "key")
);
CREATE TABLE alerts_heard (
	recipient VARCHAR NOT NULL, 
	topic VARCHAR NOT NULL, 
	"key" VARCHAR NOT NULL, 
	newest BIGINT NOT NULL, 
	PRIMARY KEY (recipient, topic, "key")
);
CREATE TABLE bundles (
	id INTEGER NOT NULL, 
	name VARCHAR NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE calls (
	day VARCHAR NOT NULL, 
	api VARCHAR NOT NULL, 
	count INTEGER NOT NULL, 
	PRIMARY KEY (day, api)
);
INSERT INTO "calls" VALUES('2026-12-01','oauth2/accessToken',1);
INSERT INTO "calls" VALUES('2026-12-01','gettoken',1);
INSERT INTO "calls" VALUES('2026-12-01','media/upload',3);
INSERT INTO "calls" VALUES('2026-12-01','robot/groupMessages/send',1);
CREATE TABLE captioned (
	recipient VARCHAR NOT NULL, 
	node VARCHAR NOT NULL, 
	at DOUBLE NOT NULL, 
	PRIMARY KEY (recipient)
);
CREATE TABLE deletions (
	space_id VARCHAR NOT NULL, 
	entry_id VARCHAR NOT NULL, 
	folder_id INTEGER NOT NULL, 
	type VARCHAR NOT NULL, 
	name VARCHAR NOT NULL, 
	due DOUBLE NOT NULL, 
	asked_at DOUBLE, 
	failures INTEGER NOT NULL, 
	done BOOLEAN NOT NULL, 
	PRIMARY KEY (space_id, entry_id), 
	FOREIGN KEY(folder_id) REFERENCES folders (id)
);
CREATE TABLE deliveries (
	id INTEGER NOT NULL, 
	version_id INTEGER NOT NULL, 
	folder_id INTEGER, 
	conversation_id VARCHAR NOT NULL, 
	route VARCHAR NOT NULL, 
	state VARCHAR NOT NULL, 
	form VARCHAR NOT NULL, 
	upload_key VARCHAR NOT NULL, 
	due DOUBLE NOT NULL, 
	due_after DOUBLE DEFAULT 0 NOT NULL, 
	noticed_at DOUBLE NOT NULL, 
	settled_at DOUBLE NOT NULL, 
	claimed_at DOUBLE, 
	uploaded_at DOUBLE, 
	doubted_at DOUBLE, 
	sent_at DOUBLE, 
	attempts INTEGER NOT NULL, 
	failures INTEGER NOT NULL, 
	waited DOUBLE NOT NULL, 
	doubts INTEGER NOT NULL, 
	media_losses INTEGER NOT NULL, 
	crashes INTEGER NOT NULL, 
	uncertain_resent BOOLEAN NOT NULL, 
	code VARCHAR, 
	message VARCHAR, 
	advice VARCHAR, 
	request_id VARCHAR, 
	process_query_key VARCHAR, 
	announced_at DOUBLE, 
	space_id VARCHAR, 
	entry_id VARCHAR, 
	bundle_id INTEGER, 
	gathering BOOLEAN DEFAULT false NOT NULL, 
	claim BIGINT, 
	node VARCHAR, 
	given_to VARCHAR, 
	PRIMARY KEY (id), 
	UNIQUE (version_id, conversation_id), 
	CONSTRAINT state_known CHECK (state IN ('pending', 'uploading', 'uploaded', 'sending', 'sent', 'uncertain', 'failed', 'skipped', 'gone')), 
	CONSTRAINT form_known CHECK (form IN ('plain', 'zip')), 
	CONSTRAINT route_known CHECK (route IN ('robot', 'drive')), 
	FOREIGN KEY(version_id) REFERENCES versions (id), 
	FOREIGN KEY(folder_id) REFERENCES folders (id), 
	FOREIGN KEY(bundle_id) REFERENCES bundles (id)
);
INSERT INTO "deliveries" VALUES(4,2,1,'cid6KeBBLoveMJOGXoYKF5x7Q==','robot','sent','plain','e15bf5e89130a44ab619e034b56d654234809bb9',1.79608255020738935472e+09,0.0,1.79608255010793566703e+09,1.79608255010793566703e+09,1.79608255020738935472e+09,1.79608255020738935472e+09,NULL,1.79608255023943281167e+09,2,0,0.0,0,0,0,0,NULL,NULL,NULL,NULL,'+//HTi9JZDytAzCsmlgVWGOo7doPtew=',NULL,NULL,NULL,NULL,0,2,NULL,NULL);
INSERT INTO "deliveries" VALUES(5,3,1,'cid6KeBBLoveMJOGXoYKF5x7Q==','robot','skipped','zip','78ac229e15ba95b53b055272acf7cf8610d1d0ee',1.79608255010793566703e+09,0.0,1.79608255010793566703e+09,1.79608255010793566703e+09,NULL,NULL,NULL,NULL,0,0,0.0,0,0,0,0,'unsupported','','UNSUPPORTED',NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL);
INSERT INTO "deliveries" VALUES(7,6,1,'cid6KeBBLoveMJOGXoYKF5x7Q==','robot','pending','plain','143cd7627c4fbd3275408aa3d6034845d6b6faf8',1.79608255100445127487e+09,0.0,1.7960825509274332524e+09,1.7960825509274332524e+09,1.79608255093948864932e+09,NULL,NULL,NULL,0,1,0.0,0,0,0,0,'unreachable','ConnectionRefusedError: Connection refused','UNREACHABLE',NULL,NULL,NULL,NULL,NULL,NULL,0,3,NULL,NULL);
CREATE TABLE drive_room (
	id INTEGER NOT NULL, 
	asked_at DOUBLE NOT NULL, 
	said_at DOUBLE, 
	used BIGINT, 
	size BIGINT, 
	PRIMARY KEY (id)
);
CREATE TABLE fingerprints (
	version_id INTEGER NOT NULL, 
	node VARCHAR NOT NULL, 
	mtime_ns BIGINT NOT NULL, 
	ctime_ns BIGINT NOT NULL, 
	inode VARCHAR NOT NULL, 
	device VARCHAR NOT NULL, 
	seen_at DOUBLE NOT NULL, 
	missing_since DOUBLE, 
	PRIMARY KEY (version_id, node), 
	FOREIGN KEY(version_id) REFERENCES versions (id) ON DELETE CASCADE
);
CREATE TABLE folder_links (
	digest VARCHAR NOT NULL, 
	folder_id INTEGER NOT NULL, 
	made_at DOUBLE NOT NULL, 
	PRIMARY KEY (digest), 
	FOREIGN KEY(folder_id) REFERENCES folders (id)
);
CREATE TABLE folder_nodes (
	folder_id INTEGER NOT NULL, 
	node VARCHAR NOT NULL, 
	root BLOB NOT NULL, 
	settings VARCHAR NOT NULL, 
	since DOUBLE NOT NULL, 
	looked_at DOUBLE, 
	blank_device VARCHAR, 
	mount_point BLOB, 
	device VARCHAR, 
	filter VARCHAR, 
	scanned_at DOUBLE, 
	look_began DOUBLE, 
	old_before DOUBLE, 
	root_device VARCHAR, 
	root_inode VARCHAR, 
	root_seen_at DOUBLE, 
	PRIMARY KEY (folder_id, node), 
	FOREIGN KEY(folder_id) REFERENCES folders (id)
);
CREATE TABLE folder_pauses (
	folder_id INTEGER NOT NULL, 
	since DOUBLE NOT NULL, 
	until DOUBLE, 
	paused_by VARCHAR NOT NULL, 
	reason VARCHAR NOT NULL, 
	PRIMARY KEY (folder_id), 
	FOREIGN KEY(folder_id) REFERENCES folders (id)
);
CREATE TABLE folders (
	id INTEGER NOT NULL, 
	root BLOB NOT NULL, 
	name VARCHAR NOT NULL, 
	looked_at DOUBLE, 
	released_at DOUBLE, 
	blank_device VARCHAR, 
	mount_point BLOB, 
	device VARCHAR, 
	filter VARCHAR, 
	scanned_at DOUBLE, 
	path BLOB, 
	left_at DOUBLE, 
	look_began DOUBLE, 
	old_before DOUBLE, 
	root_device VARCHAR, 
	root_inode VARCHAR, 
	root_seen_at DOUBLE, 
	burst_until DOUBLE, 
	moves_since DOUBLE, 
	node VARCHAR DEFAULT '' NOT NULL, 
	shared VARCHAR, 
	PRIMARY KEY (id), 
	UNIQUE (root, name)
);
INSERT INTO "folders" VALUES(1,X'2F7372762F73686172652F7265636F72646564','share',1.79608254987715721135e+09,NULL,NULL,X'2F','65024','{"include": [], "exclude": [], "recursive": true, "version": 2, "moves": false}',1.79608254988606381411e+09,X'2F7372762F73686172652F7265636F72646564',NULL,NULL,NULL,'65024','2146689',1.79608255037627077103e+09,NULL,NULL,'',NULL);
CREATE TABLE folders_down (
	folder_id INTEGER NOT NULL, 
	node VARCHAR NOT NULL, 
	code VARCHAR, 
	message VARCHAR, 
	advice VARCHAR, 
	PRIMARY KEY (folder_id, node), 
	FOREIGN KEY(folder_id) REFERENCES folders (id)
);
CREATE TABLE history (
	id INTEGER NOT NULL, 
	version_id INTEGER NOT NULL, 
	delivery_id INTEGER, 
	at DOUBLE NOT NULL, 
	event VARCHAR NOT NULL, 
	"before" VARCHAR, 
	"after" VARCHAR, 
	code VARCHAR, 
	message VARCHAR, 
	advice VARCHAR, 
	request_id VARCHAR, 
	PRIMARY KEY (id), 
	FOREIGN KEY(version_id) REFERENCES versions (id), 
	FOREIGN KEY(delivery_id) REFERENCES deliveries (id)
);
INSERT INTO "history" VALUES(1,2,4,1.79608255010793566703e+09,'settled',NULL,'pending',NULL,NULL,NULL,NULL);
INSERT INTO "history" VALUES(2,3,5,1.79608255010793566703e+09,'settled',NULL,'pending',NULL,NULL,NULL,NULL);
INSERT INTO "history" VALUES(3,3,5,1.79608255012339425088e+09,'skip','pending','skipped','unsupported','','UNSUPPORTED',NULL);
INSERT INTO "history" VALUES(4,2,4,1.79608255018214082714e+09,'claim','pending','uploading',NULL,NULL,NULL,NULL);
INSERT INTO "history" VALUES(5,2,4,1.79608255020738935472e+09,'upload_ok','uploading','uploaded',NULL,NULL,NULL,NULL);
INSERT INTO "history" VALUES(6,2,4,1.79608255020738935472e+09,'claim','uploaded','sending',NULL,NULL,NULL,NULL);
INSERT INTO "history" VALUES(7,2,4,1.79608255023943281167e+09,'send_ok','sending','sent',NULL,NULL,NULL,NULL);
INSERT INTO "history" VALUES(8,6,7,1.7960825509274332524e+09,'settled',NULL,'pending',NULL,NULL,NULL,NULL);
INSERT INTO "history" VALUES(9,6,7,1.79608255093948864932e+09,'claim','pending','uploading',NULL,NULL,NULL,NULL);
INSERT INTO "history" VALUES(10,6,7,1.79608255100445127487e+09,'retry','uploading','pending','unreachable','ConnectionRefusedError: Connection refused','UNREACHABLE',NULL);
CREATE TABLE in_flight (
	recipient VARCHAR NOT NULL, 
	claim BIGINT NOT NULL, 
	node VARCHAR NOT NULL, 
	PRIMARY KEY (recipient)
)
 WITHOUT ROWID

;
CREATE TABLE moves (
	version_id BIGINT NOT NULL, 
	folder_id INTEGER NOT NULL, 
	phase VARCHAR NOT NULL, 
	origin BLOB NOT NULL, 
	place BLOB NOT NULL, 
	back BLOB, 
	size BIGINT NOT NULL, 
	mtime_ns BIGINT NOT NULL, 
	inode VARCHAR NOT NULL, 
	device VARCHAR NOT NULL, 
	node VARCHAR DEFAULT '' NOT NULL, 
	PRIMARY KEY (version_id), 
	CONSTRAINT phase_known CHECK (phase IN ('away', 'there', 'back')), 
	FOREIGN KEY(folder_id) REFERENCES folders (id)
);
CREATE TABLE nodes (
	name VARCHAR NOT NULL, 
	instance VARCHAR NOT NULL, 
	started_at DOUBLE NOT NULL, 
	lease_until DOUBLE NOT NULL, 
	draining BOOLEAN DEFAULT false NOT NULL, 
	tick BIGINT DEFAULT 0 NOT NULL, 
	timeline VARCHAR DEFAULT '' NOT NULL, 
	PRIMARY KEY (name)
);
CREATE TABLE numbers (
	name VARCHAR NOT NULL, 
	value BIGINT NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "numbers" VALUES('schema',17);
INSERT INTO "numbers" VALUES('id',7);
INSERT INTO "numbers" VALUES('claim',100);
INSERT INTO "numbers" VALUES('pruned',0);
INSERT INTO "numbers" VALUES('ledger',1970650135699312145);
CREATE TABLE outcomes (
	quarter INTEGER NOT NULL, 
	folder_id INTEGER NOT NULL, 
	sent INTEGER NOT NULL, 
	failed INTEGER NOT NULL, 
	PRIMARY KEY (quarter, folder_id)
);
INSERT INTO "outcomes" VALUES(1995647,1,1,0);
CREATE TABLE paces (
	scope VARCHAR NOT NULL, 
	"key" VARCHAR NOT NULL, 
	slowdown DOUBLE NOT NULL, 
	refused_at DOUBLE NOT NULL, 
	PRIMARY KEY (scope, "key"), 
	CONSTRAINT scope_known CHECK (scope IN ('row', 'conversation', 'api', 'app', 'folder'))
);
CREATE TABLE parts (
	upload VARCHAR NOT NULL, 
	number INTEGER NOT NULL, 
	PRIMARY KEY (upload, number), 
	FOREIGN KEY(upload) REFERENCES uploads ("key")
);
CREATE TABLE pauses (
	scope VARCHAR NOT NULL, 
	"key" VARCHAR NOT NULL, 
	node VARCHAR DEFAULT '' NOT NULL, 
	until DOUBLE NOT NULL, 
	since DOUBLE NOT NULL, 
	failures INTEGER NOT NULL, 
	by_token BOOLEAN NOT NULL, 
	code VARCHAR NOT NULL, 
	message VARCHAR NOT NULL, 
	advice VARCHAR NOT NULL, 
	request_id VARCHAR, 
	lasts DOUBLE DEFAULT 0 NOT NULL, 
	fixed BOOLEAN DEFAULT false NOT NULL, 
	probed_by VARCHAR, 
	probed_until DOUBLE, 
	PRIMARY KEY (scope, "key", node), 
	CONSTRAINT scope_known CHECK (scope IN ('row', 'conversation', 'api', 'app', 'folder'))
);
INSERT INTO "pauses" VALUES('app','app','',1.79608255158436322211e+09,1.79608255100445127487e+09,1,1,'unreachable','ConnectionRefusedError: Connection refused','UNREACHABLE',NULL,5.79911947250366210937e-01,0,NULL,NULL);
CREATE TABLE refused_extensions (
	app VARCHAR NOT NULL, 
	extension VARCHAR NOT NULL, 
	since DOUBLE NOT NULL, 
	PRIMARY KEY (app, extension)
);
CREATE TABLE routes (
	folder_id INTEGER NOT NULL, 
	conversation_id VARCHAR NOT NULL, 
	node VARCHAR DEFAULT '' NOT NULL, 
	by_any_node BOOLEAN DEFAULT false NOT NULL, 
	PRIMARY KEY (folder_id, conversation_id, node), 
	FOREIGN KEY(folder_id) REFERENCES folders (id)
);
INSERT INTO "routes" VALUES(1,'cid6KeBBLoveMJOGXoYKF5x7Q==','',1);
CREATE TABLE screenings (
	version_id BIGINT NOT NULL, 
	claim BIGINT NOT NULL, 
	node VARCHAR NOT NULL, 
	PRIMARY KEY (version_id)
);
CREATE TABLE sidecars (
	folder_id INTEGER NOT NULL, 
	path BLOB NOT NULL, 
	version_id BIGINT, 
	content BLOB NOT NULL, 
	phase VARCHAR NOT NULL, 
	node VARCHAR DEFAULT '' NOT NULL, 
	PRIMARY KEY (folder_id, path), 
	CONSTRAINT phase_known CHECK (phase IN ('planned', 'written', 'unwanted')), 
	FOREIGN KEY(folder_id) REFERENCES folders (id)
);
CREATE TABLE slots (
	id INTEGER NOT NULL, 
	node VARCHAR NOT NULL, 
	at DOUBLE NOT NULL, 
	scope VARCHAR NOT NULL, 
	"key" VARCHAR NOT NULL, 
	PRIMARY KEY (id), 
	CONSTRAINT scope_known CHECK (scope IN ('row', 'conversation', 'api', 'app', 'folder'))
);
CREATE TABLE star_directories (
	pattern BLOB NOT NULL, 
	node VARCHAR DEFAULT '' NOT NULL, 
	path BLOB NOT NULL, 
	PRIMARY KEY (pattern, node, path), 
	FOREIGN KEY(pattern, node) REFERENCES stars (pattern, node)
);
CREATE TABLE stars (
	pattern BLOB NOT NULL, 
	node VARCHAR DEFAULT '' NOT NULL, 
	looked_at DOUBLE NOT NULL, 
	PRIMARY KEY (pattern, node)
);
CREATE TABLE successors (
	url VARCHAR NOT NULL, 
	PRIMARY KEY (url)
);
CREATE TABLE tellers (
	node VARCHAR NOT NULL, 
	PRIMARY KEY (node)
);
CREATE TABLE uploads (
	"key" VARCHAR NOT NULL, 
	app VARCHAR NOT NULL, 
	type VARCHAR NOT NULL, 
	content VARCHAR NOT NULL, 
	extension VARCHAR NOT NULL, 
	name VARCHAR NOT NULL, 
	state VARCHAR NOT NULL, 
	media_id VARCHAR, 
	uploaded_at DOUBLE, 
	space_id VARCHAR, 
	begun_key VARCHAR, 
	kept BOOLEAN DEFAULT false NOT NULL, 
	claim BIGINT, 
	node VARCHAR, 
	PRIMARY KEY ("key"), 
	CONSTRAINT state_known CHECK (state IN ('none', 'busy', 'have')), 
	CONSTRAINT have_means_media_id CHECK ((state = 'have') = (media_id IS NOT NULL))
);
INSERT INTO "uploads" VALUES('e15bf5e89130a44ab619e034b56d654234809bb9','dingsandboxq7m2kfzdx','file','1e6a15bc75f7c9277027948ea186fc00998ab2189a1082505b08295a94800efa','txt','','have','@lAzPD+/+YGhfMuapUHycL64kcUSs=',1.79608255020738935472e+09,NULL,NULL,0,1,NULL);
INSERT INTO "uploads" VALUES('78ac229e15ba95b53b055272acf7cf8610d1d0ee','dingsandboxq7m2kfzdx','file','2447b130a15dc3350107817824e15665fe17179e1bd17b403ec16c66c697fc0d','zip','','none',NULL,NULL,NULL,NULL,0,NULL,NULL);
INSERT INTO "uploads" VALUES('143cd7627c4fbd3275408aa3d6034845d6b6faf8','dingsandboxq7m2kfzdx','file','09c6ab436a96f7b4d95881ac524ebb844ad865f29709ccc4ef2d88186a94942c','txt','','none',NULL,NULL,NULL,NULL,0,3,NULL);
CREATE TABLE versions (
	id INTEGER NOT NULL, 
	folder_id INTEGER, 
	directory BLOB NOT NULL, 
	name BLOB NOT NULL, 
	size BIGINT NOT NULL, 
	mtime_ns BIGINT NOT NULL, 
	ctime_ns BIGINT NOT NULL, 
	inode VARCHAR NOT NULL, 
	device VARCHAR NOT NULL, 
	sha256 VARCHAR, 
	baseline BOOLEAN NOT NULL, 
	noticed_at DOUBLE NOT NULL, 
	missing_since DOUBLE, 
	screened_at DOUBLE, 
	screening_failed_at DOUBLE, 
	search_key BLOB GENERATED ALWAYS AS (CAST(lower(directory || '/' || name) AS BLOB)), 
	moved_to BLOB, 
	PRIMARY KEY (id), 
	FOREIGN KEY(folder_id) REFERENCES folders (id)
);
INSERT INTO "versions" VALUES(1,1,X'',X'626173656C696E652E747874',12,1796082547904731395,1796082547904731395,'2146705','65024',NULL,1,1.79608254987715721135e+09,NULL,NULL,NULL,NULL);
INSERT INTO "versions" VALUES(2,1,X'',X'73656E742E747874',8,1796082549890316760,1796082549890316760,'2146825','65024','1e6a15bc75f7c9277027948ea186fc00998ab2189a1082505b08295a94800efa',0,1.79608255010793566703e+09,NULL,NULL,NULL,NULL);
INSERT INTO "versions" VALUES(3,1,X'',X'736B6970706564',7,1796082549890421265,1796082549890421265,'2146837','65024','389595a44dc9dce7dee673f243e805244bae603d6a65a536ad493340ec99ced3',0,1.79608255010793566703e+09,NULL,NULL,NULL,NULL);
INSERT INTO "versions" VALUES(6,1,X'',X'77616974696E672E747874',11,1796082550708393458,1796082550708393458,'2146737','65024','09c6ab436a96f7b4d95881ac524ebb844ad865f29709ccc4ef2d88186a94942c',0,1.7960825509274332524e+09,NULL,NULL,NULL,NULL);
CREATE INDEX uploads_busy ON uploads ("key") WHERE state = 'busy';
CREATE INDEX uploads_by_name ON uploads (type, name) WHERE name != '';
CREATE INDEX versions_by_inode ON versions (folder_id, inode);
CREATE INDEX versions_screening_failed ON versions (folder_id, screening_failed_at) WHERE screening_failed_at IS NOT NULL;
CREATE INDEX versions_by_content ON versions (folder_id, sha256);
CREATE INDEX versions_to_search ON versions (noticed_at, id, search_key) WHERE baseline IS 0;
CREATE INDEX versions_missing ON versions (folder_id, missing_since) WHERE missing_since IS NOT NULL;
CREATE INDEX versions_given ON versions (noticed_at) WHERE folder_id + 0 IS NULL;
CREATE INDEX versions_by_path ON versions (folder_id, directory, name);
CREATE INDEX versions_baseline ON versions (folder_id, noticed_at) WHERE baseline IS 1;
CREATE INDEX versions_moved ON versions (folder_id, moved_to) WHERE moved_to IS NOT NULL;
CREATE INDEX versions_by_state_of_file ON versions (folder_id, size, mtime_ns);
CREATE INDEX deliveries_sharing_upload ON deliveries (upload_key, state) WHERE state = 'pending' AND due + 0 < 1000000000000000.0;
CREATE INDEX deliveries_of_bundle ON deliveries (bundle_id) WHERE bundle_id IS NOT NULL;
CREATE INDEX deliveries_doubted_once ON deliveries (id) WHERE state = 'uncertain' AND doubts = 1;
CREATE INDEX deliveries_by_due ON deliveries (state, due) WHERE (state = 'pending' OR state = 'uploaded') AND due < 1000000000000000.0;
CREATE INDEX deliveries_counted ON deliveries (folder_id, conversation_id, state);
CREATE INDEX deliveries_to_upload ON deliveries (route, conversation_id, folder_id, settled_at, id) WHERE state = 'pending' AND due + 0 < 1000000000000000.0;
CREATE INDEX deliveries_of_upload ON deliveries (upload_key);
CREATE INDEX deliveries_by_time ON deliveries (noticed_at, id, conversation_id, folder_id, version_id);
CREATE INDEX deliveries_in_work ON deliveries (state, conversation_id, settled_at, id, noticed_at, folder_id) WHERE state = 'pending' OR state = 'uploading' OR state = 'uploaded' OR state = 'sending';
CREATE INDEX deliveries_held ON deliveries (folder_id, due) WHERE state = 'pending' AND due >= 1000000000000000.0;
CREATE INDEX deliveries_unsent ON deliveries (state, noticed_at, id) WHERE state = 'failed' OR state = 'uncertain' OR state = 'skipped' OR state = 'gone';
CREATE INDEX deliveries_gathering ON deliveries (folder_id, conversation_id, due) WHERE state = 'pending' AND gathering IS 1;
CREATE INDEX deliveries_to_report ON deliveries (folder_id, version_id) WHERE state = 'failed' OR state = 'uncertain' OR state = 'skipped' AND code != 'noticed' AND code != 'on_change';
CREATE INDEX deliveries_by_caption ON deliveries (announced_at) WHERE announced_at IS NOT NULL;
CREATE INDEX deliveries_unresolved ON deliveries (state, folder_id, conversation_id, code, doubts, id) WHERE state = 'failed' OR state = 'uncertain';
CREATE INDEX deliveries_of_folder_by_time ON deliveries (folder_id, noticed_at);
CREATE INDEX deliveries_crashed ON deliveries (id) WHERE crashes > 0;
CREATE INDEX deliveries_to_hold ON deliveries (folder_id, noticed_at) WHERE state = 'pending' AND due + 0 < 1000000000000000.0;
CREATE INDEX fingerprints_by_inode ON fingerprints (node, inode);
CREATE INDEX fingerprints_missing ON fingerprints (node, version_id) WHERE missing_since IS NOT NULL;
CREATE INDEX history_of_version ON history (version_id);
CREATE INDEX history_of_calls ON history (at) WHERE "after" = 'uploading' OR "after" = 'sending' OR "after" = 'sent';
CREATE INDEX history_of_moves ON history (message) WHERE event = 'moved';
CREATE INDEX history_of_delivery ON history (delivery_id);
COMMIT;
