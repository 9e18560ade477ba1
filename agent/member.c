/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Membership. Who runs is said by two ids: the installation (kept in the data folder, so that it
 * survives restarts and reboots) and the instance (this process). A document of another
 * installation means that two machines have one name: this one does not start, however old the
 * document is, as the other may only be cut off from the store while its pods live. An operator who
 * knows better removes the node (docs/NODES.md).
 *
 * A document of this installation is that of an earlier process, or that of a machine with a copy of
 * our data folder. Where it was written tells them apart: in the boot and network namespace in
 * which we run the locks on the folders leave room for one process, so it is taken over at once, as
 * is one whose agent said goodbye. Elsewhere (an earlier boot, the machine that this one is a clone
 * or a restored copy of) its author is watched until it has been silent for as long as makes an
 * agent stale; by our own clock, as those of two machines may differ. An author whose heartbeat
 * moves meanwhile lives. Then this agent is refused, until somebody starts it again, and leaves a
 * note, status/NODE/newcomer, from which the living one knows. A single heartbeat proves nothing: it
 * may have been under way while its author died.
 *
 * The same holds when the document of an agent that runs is overwritten: by a clone while it was cut
 * off from the store, or by a store that was restored to what it held before.
 *
 * Each write compares the revision of the last one, so that the other side of a contest is noticed
 * at the next heartbeat at the latest. A document that was deleted (the node was removed while it
 * was away) is made again: this node lives.
 */
#include "agent/member.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/json.h"
#include "lib/mem.h"
#include "lib/ns.h"
#include "lib/text.h"

#define WRITE_MS 5000
#define RETRY_S 1
#define BEATS_OF_LIFE 2

void member_find_place(struct member_place *out)
{
	struct err ignored; /* the node state needs the boot id too, and says why */
	char host[64] = "";
	uint64_t cookie = ns_own_cookie();
	*out = (struct member_place){0};
	(void)boot_id(out->boot, &ignored);
	boot_machine(out->machine);
	if (cookie)
		(void)snprintf(out->netns, sizeof(out->netns), "%" PRIu64, cookie);
	(void)gethostname(host, sizeof(host) - 1);
	(void)text_clean(out->host, sizeof(out->host), host);
}

void member_init(struct member *m, const char *node, const char *installation,
	const struct member_place *here)
{
	*m = (struct member){.here = *here};
	(void)text_copy(m->node, sizeof(m->node), node);
	keys_status(node, m->key);
	keys_newcomer(node, m->newcomer_key);
	(void)text_copy(m->installation, sizeof(m->installation), installation);
	status_make_id(m->instance);
}

void member_done(struct member *m)
{
	free(m->sent);
	free(m->sending);
	*m = (struct member){0};
}

/* After so long without a heartbeat an agent is stale. */
static int64_t stale_s(const struct status *s)
{
	return ((int64_t)s->interval_s * 7 + 1) / 2;
}

static bool may_be_same(const char *a, const char *b)
{
	return !*a || !*b || strcmp(a, b) == 0;
}

/* Only one process can run where the document was written, and that is us. */
static bool is_here(const struct member *m, const struct status *s)
{
	return strcmp(m->here.boot, s->boot) == 0 && may_be_same(m->here.netns, s->netns) &&
	       may_be_same(m->here.machine, s->machine);
}

static void refuse_installation(struct member *m, const struct status *s)
{
	(void)snprintf(m->refusal, sizeof(m->refusal),
		"the node name is taken by another installation (%s, last heard of %s): "
		"give this machine another name with --node; or, if this is that machine "
		"without its data folder: roostctl node remove NAME --force, which keeps "
		"its blocks for it; if that machine is gone for good, with --powered-off",
		s->installation, TIME_STRING(s->heartbeat_s));
}

static const char *host_of(const struct status *s)
{
	return *s->host ? s->host : "of unknown name";
}

/* Another agent of this installation wrote the document. */
static void judge_other(struct member *m, const struct status *s, int64_t now_s)
{
	bool same = strcmp(s->instance, m->other) == 0;
	bool here = is_here(m, s);
	m->joined = false;
	bool beats = !same || s->heartbeat_s > m->other_beat_s;
	m->beats = same ? m->beats + beats : 0;
	m->other_beat_s = s->heartbeat_s;
	(void)text_copy(m->other, sizeof(m->other), s->instance);
	m->refused |= m->beats >= BEATS_OF_LIFE && !s->stopped;
	if (s->stopped || here)
		m->silent_at_s = 0;
	else if (beats)
		m->silent_at_s = now_s + stale_s(s);
	if (m->refused)
		(void)snprintf(m->waits, sizeof(m->waits),
			"%.60s runs on another machine (host %.40s): this one has a copy of its "
			"data folder and takes no blocks; give it another name (\"node\") and "
			"remove blocks.json there, or end that one and restart roostd here",
			m->node, host_of(s));
	else if (m->silent_at_s)
		(void)snprintf(m->waits, sizeof(m->waits),
			"%.60s was last run in another boot or on another machine (host %.40s): no "
			"block is taken until that agent has been silent for %d s",
			m->node, host_of(s), (int)stale_s(s));
	else
		m->waits[0] = '\0';
}

static void judge_document(struct member *m, const struct store_event *ev, int64_t now_s)
{
	struct status s;
	struct err e;
	m->revision = ev->revision;
	m->refusal[0] = '\0';
	if (!ev->value || status_parse(ev->value, &s, &e) < 0) {
		m->joined = false; /* nobody's: it is written over */
		return;
	}
	if (strcmp(s.instance, m->instance) == 0)
		m->joined = !m->refused;
	else if (strcmp(s.installation, m->installation) != 0)
		refuse_installation(m, &s);
	else
		judge_other(m, &s, now_s);
	status_done(&s);
}

/* A note of an agent that was refused, here to be shown. */
static void judge_newcomer(struct member *m, const struct store_event *ev, int64_t now_s)
{
	struct status s;
	struct err e;
	m->newcomer[0] = '\0';
	m->newcomer_revision = ev->revision;
	m->newcomer_until_s = now_s;
	if (!ev->value || status_parse(ev->value, &s, &e) < 0)
		return; /* it goes at the next look */
	m->newcomer_until_s += stale_s(&s);
	if (strcmp(s.instance, m->instance) == 0)
		m->newcomer_revision = 0;
	else if (strcmp(s.installation, m->installation) == 0)
		(void)snprintf(m->newcomer, sizeof(m->newcomer),
			"another machine (host %.40s) has a copy of this one's data folder and "
			"wants to be %.60s; it is refused: give it another name (\"node\") and "
			"remove blocks.json there",
			host_of(&s), m->node);
	else
		(void)snprintf(m->newcomer, sizeof(m->newcomer),
			"another machine (host %.40s) wants the name %.60s too, and is refused: "
			"give it another name (\"node\")",
			host_of(&s), m->node);
	status_done(&s);
}

/* Who was refused says its note again when somebody else's came in between. */
static void end_note(struct member *m, const struct store_event *ev)
{
	if (ev->kind == STORE_DONE) {
		m->note_revision = m->noted ? ev->revision : 0;
	} else if (!m->joined) {
		m->noted = true; /* so it is to go still */
		m->beat_s = 0;
	}
}

static void member_end_commit(struct member *m, const struct store_event *ev)
{
	m->commit = 0;
	if (m->is_note) {
		end_note(m, ev);
		return;
	}
	if (ev->kind == STORE_DONE) {
		free(m->sent);
		m->sent = m->sending;
		m->sending = NULL;
		if (ev->revision < m->revision)
			return; /* somebody wrote it since, and was judged */
		m->joined = !m->refused;
		m->revision = ev->revision;
		m->other[0] = '\0';
		m->waits[0] = '\0';
		return;
	}
	/* A conflict is explained by the watch; a failure is tried again. */
	m->beat_s = 0;
}

static void take_document(struct member *m, const struct store_event *ev, int64_t now_s)
{
	if (ev->kind == STORE_PUT) {
		judge_document(m, ev, now_s);
	} else if (ev->kind == STORE_DELETE) {
		m->revision = 0;
		m->joined = false;
		m->refusal[0] = '\0'; /* who does not end at it may act from now on */
		m->beat_s = 0;
	}
}

static void take_newcomer(struct member *m, const struct store_event *ev, int64_t now_s)
{
	m->note_revision = ev->kind == STORE_PUT ? ev->revision : 0;
	if (ev->kind == STORE_PUT) {
		judge_newcomer(m, ev, now_s);
	} else if (ev->kind == STORE_DELETE) {
		m->newcomer[0] = '\0';
		m->newcomer_revision = 0;
	}
}

static void take_event(struct member *m, const struct store_event *ev, int64_t now_s)
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
		m->newcomer_revision = m->note_revision = 0; /* the list tells it, if it is there */
		m->newcomer[0] = '\0';
		return;
	}
	/* A watch is of a prefix, and node1 is one of node10. */
	if (ev->key && strcmp(ev->key, m->key) == 0)
		take_document(m, ev, now_s);
	else if (ev->key && strcmp(ev->key, m->newcomer_key) == 0)
		take_newcomer(m, ev, now_s);
}

bool member_take(struct member *m, const struct store_event *ev, int64_t now_s)
{
	bool joined = m->joined;
	bool refused = m->refused;
	bool waits = *m->waits;
	bool newcomer = *m->newcomer;
	take_event(m, ev, now_s);
	return joined != m->joined || refused != m->refused || waits != (*m->waits != '\0') ||
	       newcomer != (*m->newcomer != '\0');
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

static void fill_in(const struct member *m, struct status *what)
{
	(void)text_copy(what->installation, sizeof(what->installation), m->installation);
	(void)text_copy(what->instance, sizeof(what->instance), m->instance);
	(void)text_copy(what->boot, sizeof(what->boot), m->here.boot);
	(void)text_copy(what->machine, sizeof(what->machine), m->here.machine);
	(void)text_copy(what->netns, sizeof(what->netns), m->here.netns);
	(void)text_copy(what->host, sizeof(what->host), m->here.host);
}

/* what NULL: the document goes. */
static void start_write(
	struct member *m, struct store *s, const char *key, int64_t revision, struct status *what)
{
	CLEANUP_FREE char *value = NULL;
	if (what) {
		what->heartbeat_s = boot_wall_s();
		CLEANUP_JSON json_t *doc = status_format(what);
		value = json_text(doc);
	}
	const struct store_write w = {.key = key, .value = value, .revision = revision};
	m->commit = store_start_write(s, &w, WRITE_MS);
	m->is_note = key == m->newcomer_key;
}

static void say_status(struct member *m, struct store *s, struct status *what, int64_t now_s)
{
	CLEANUP_FREE char *news = format_comparable(what);
	if (m->joined && now_s < m->beat_s && m->sent && strcmp(news, m->sent) == 0)
		return;
	start_write(m, s, m->key, m->revision, what);
	free(m->sending);
	m->sending = news;
	news = NULL;
	m->next_s = now_s + RETRY_S;
	m->beat_s = now_s + what->interval_s;
}

/* To who has our name: a note that is renewed as long as we want it. Nobody decides by it, so it is
 * written over another one's. */
static void say_note(struct member *m, struct store *s, struct status *what, int64_t now_s)
{
	bool ends = what->stopped && !*m->refusal; /* else it is all that is ever heard of us */
	if (ends ? !m->noted : now_s < m->beat_s)
		return;
	m->noted = !ends;
	if (ends && !m->note_revision)
		return; /* somebody deleted it */
	start_write(m, s, m->newcomer_key, m->note_revision, ends ? NULL : what);
	m->next_s = now_s + RETRY_S;
	m->beat_s = now_s + what->interval_s;
}

bool member_has_word(const struct member *m)
{
	return m->known && (m->joined || *m->refusal || m->noted);
}

void member_say(struct member *m, struct store *s, struct status *what, int64_t now_s)
{
	bool contested = *m->refusal || m->refused || now_s < m->silent_at_s;
	if (!m->known || m->commit || now_s < m->next_s)
		return;
	fill_in(m, what);
	/* Before a heartbeat, of which there may be one every second. */
	bool is_over = m->newcomer_revision && now_s >= m->newcomer_until_s;
	if (m->joined && is_over && !what->stopped)
		start_write(m, s, m->newcomer_key, m->newcomer_revision, NULL);
	else if (!contested)
		say_status(m, s, what, now_s);
	else if (*m->refusal || m->beats > 0)
		say_note(m, s, what, now_s);
}
