/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Membership. Who runs is said by two ids: the installation (kept in the data folder, so that it
 * survives restarts and reboots) and the instance (this process). The lock on the state folders
 * makes one process of an installation the only one, so a document of the same installation is
 * that of an earlier process, and is taken over. One of another installation means that two
 * machines have one name: this one does not start, however old the document is, as the other may
 * only be cut off from the store while its pods live. An operator who knows better removes the node
 * (docs/NODES.md).
 *
 * Each write compares the revision of the last one, so that the other side of a contest is noticed
 * at the next heartbeat at the latest. A document that was deleted (the node was removed while it
 * was away) is made again: this node lives.
 */
#include "agent/member.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/boot.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/text.h"

#define COMMIT_MS 5000
#define RETRY_S 1

void member_init(struct member *m, const char *node, const char *installation)
{
	*m = (struct member){0};
	keys_status(node, m->key);
	(void)text_copy(m->installation, sizeof(m->installation), installation);
	status_make_id(m->instance);
}

void member_done(struct member *m)
{
	free(m->sent);
	free(m->sending);
	*m = (struct member){0};
}

static void judge_document(struct member *m, const struct store_event *ev)
{
	struct status s;
	struct err e;
	m->revision = ev->revision;
	if (!ev->value || status_parse(ev->value, &s, &e) < 0) {
		m->joined = false; /* nobody's: it is written over */
		return;
	}
	if (strcmp(s.instance, m->instance) == 0) {
		m->joined = true;
	} else if (strcmp(s.installation, m->installation) != 0) {
		char when[32];
		boot_format_time(s.heartbeat_s, when);
		(void)snprintf(m->refusal, sizeof(m->refusal),
			"the node name is taken by another installation (%s, last heard of %s): "
			"give this machine another name with --node; or, if this is that machine "
			"without its data folder: roostctl node remove NAME --force, which keeps "
			"its blocks for it; if that machine is gone for good, with --powered-off",
			s.installation, when);
	} else if (m->joined) {
		(void)snprintf(m->refusal, sizeof(m->refusal),
			"another agent of this very installation took over: is the data folder a "
			"copy of another machine's?");
	}
	status_done(&s);
}

static void member_end_commit(struct member *m, const struct store_event *ev)
{
	m->commit = 0;
	if (ev->kind == STORE_DONE) {
		free(m->sent);
		m->sent = m->sending;
		m->sending = NULL;
		m->joined = true;
		m->revision = ev->revision > m->revision ? ev->revision : m->revision;
		return;
	}
	/* A conflict is explained by the watch; a failure is tried again. */
	m->beat_s = 0;
}

void member_take(struct member *m, const struct store_event *ev)
{
	if (m->commit && ev->id == m->commit) {
		member_end_commit(m, ev);
		return;
	}
	if (ev->kind == STORE_CURRENT) {
		m->known = true;
		return;
	}
	if (ev->kind == STORE_RESTART) {
		m->known = false;
		m->revision = 0;
		return;
	}
	/* A watch is of a prefix, and node1 is one of node10. */
	if (!ev->key || strcmp(ev->key, m->key) != 0)
		return;
	if (ev->kind == STORE_PUT) {
		judge_document(m, ev);
	} else if (ev->kind == STORE_DELETE) {
		m->revision = 0;
		m->joined = false;
		m->beat_s = 0;
	}
}

/* The text without the heartbeat, to see whether anything is new. */
static char *format_comparable(struct status *what)
{
	int64_t beat = what->heartbeat_s;
	what->heartbeat_s = 0;
	CLEANUP_JSON json_t *doc = status_format(what);
	what->heartbeat_s = beat;
	return json_text(doc);
}

void member_say(struct member *m, struct store *s, struct status *what, int64_t now_s)
{
	if (!m->known || m->commit || *m->refusal || now_s < m->next_s)
		return;
	(void)text_copy(what->installation, sizeof(what->installation), m->installation);
	(void)text_copy(what->instance, sizeof(what->instance), m->instance);
	CLEANUP_FREE char *news = format_comparable(what);
	if (m->joined && now_s < m->beat_s && m->sent && strcmp(news, m->sent) == 0)
		return;
	what->heartbeat_s = boot_wall_s();
	CLEANUP_JSON json_t *doc = status_format(what);
	CLEANUP_FREE char *value = json_text(doc);
	struct store_compare compare = {.key = m->key, .revision = m->revision};
	struct store_change change = {.key = m->key, .value = value};
	struct store_txn txn = {
		.compares = &compare, .n_compares = 1, .changes = &change, .n_changes = 1};
	m->commit = store_start_commit(s, &txn, COMMIT_MS);
	free(m->sending);
	m->sending = news;
	news = NULL;
	m->next_s = now_s + RETRY_S;
	m->beat_s = now_s + what->interval_s;
}
