/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeps BIRD equal to a text. One question decides what comes next, whatever has happened before:
 * what does BIRD not have yet? In the order of next_command():
 *
 *	greeted just now            show status: is a graceful restart under way?
 *	a load is under way         show status, until it is over
 *	FILE is not the text        FILE.new and FILE.check are written; configure check
 *	  found good                FILE.new becomes FILE
 *	FILE is not loaded          configure
 *	a session is given up       enable, so that it tries again
 *	and else                    show status as a prod; now and then show protocols, and show
 *	                            route: which blocks has BGP brought?
 *
 * BIRD says 0003 (done), 0004 or 0005 (later), 8002 (no, with file, line and column). Refused
 * text is tried again every 10 s, as the cause may be a file of the operator's that he mends.
 * Whenever BIRD comes up, it is told to configure once even if FILE is right: it may have started
 * before FILE.
 *
 * While BIRD is down nothing is written. A text that no BIRD has judged would be read by the next
 * start of BIRD, and a BIRD that does not start is the worst that a wrong text can do; while one
 * that starts with the text of before is told the new one a second later. So FILE is always a
 * text that BIRD has accepted, or is not there. The price: for that second BIRD may announce what
 * it did before.
 *
 * Prods: BIRD 2.0.8 to 2.13 computes how long to sleep before it has run what it queued, and an
 * idle one leaves first feeds, reloads and the end of a graceful restart for up to 3 s (mended in
 * 2.14, commit 6a242b3ec). Any command wakes it up.
 */
#include "agent/bird/bird.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/bird/ctl.h"
#include "agent/bird/file.h"
#include "agent/bird/learned.h"
#include "agent/bird/reply.h"
#include "agent/bird/written.h"
#include "lib/boot.h"
#include "lib/mem.h"
#include "lib/text.h"
#include "lib/wait.h"

#define PROD_MS 50	      /* between two prods */
#define PRODDING_MS 5000      /* for so long */
#define SESSIONS_MS 10000     /* between two questions for the sessions */
#define SESSIONS_SOON_MS 1000 /* while things change */
#define EXPECTING_MS 15000    /* blocks that are to come are looked for so long each second */
#define RETRY_MS 10000	      /* of what was refused, or could not be written */
#define LOAD_TIMEOUT_MS 15000
#define SHOW_TIMEOUT_MS 5000

enum asked { NOTHING, STATUS, SESSIONS, ENABLE, LEARNED4, LEARNED6, CHECK, CONFIGURE };

struct bird {
	struct bird_ctl *ctl;
	struct bird_file file;
	struct wait wait; /* ctl, and what is due here */

	char *text; /* NULL: none wanted yet */
	uint64_t generation;
	uint64_t serial; /* of the text: grows only when it is another one */
	bool placed;	 /* FILE holds the text */
	bool on_trial;	 /* FILE was replaced by us and BIRD has not loaded it yet */

	enum asked asked; /* the command under way */
	uint64_t asked_serial, asked_generation;
	uint64_t loaded_serial, refused_serial; /* 0: none */
	bool status_known;			/* since BIRD came up */
	bool loading;				/* BIRD said that it takes a while */

	struct bird_sessions sessions;
	char enabled[BIRD_SESSION_NAME]; /* told to try again at enabled_ms; "" none */
	int64_t enabled_ms;
	struct bird_learned learned;
	struct cidr *services; /* as announced when it was opened */
	size_t n_services;
	size_t missing; /* blocks that are to be learned */
	int64_t expect_until_ms;
	bool six_is_next; /* blocks of IPv4 were asked for */
	bool changed;	  /* one of these lists, since the last bird_step() */

	int64_t prod_until_ms, prod_at_ms, sessions_at_ms, learned_at_ms, retry_at_ms;
	struct bird_status status, shown; /* shown: as of the last bird_step() */
};

static void read_services(struct bird *b, const char *text)
{
	for (enum family f = IPV4; f < FAMILIES; f++) {
		CLEANUP_FREE struct cidr *seen = NULL;
		size_t n = bird_written_routes(text, "services", f, &seen);
		struct cidr *all = mem_new(b->n_services + n + 1, sizeof(*all));
		if (b->n_services)
			memcpy(all, b->services, b->n_services * sizeof(*all));
		free(b->services);
		b->services = all;
		for (size_t i = 0; i < n; i++)
			if (seen[i].len == family_bits(f))
				all[b->n_services++] = seen[i];
	}
}

int bird_open(struct bird **out, const struct bird_paths *p, struct err *e)
{
	struct bird *b = mem_new(1, sizeof(*b));
	b->wait = (struct wait)WAIT_CLOSED;
	int r = bird_file_init(&b->file, p->file, p->include, p->group, e);
	if (r == 0)
		r = bird_ctl_open(&b->ctl, p->socket, e);
	if (r == 0)
		r = wait_open(&b->wait, e);
	if (r == 0)
		r = wait_add(&b->wait, bird_ctl_fd(b->ctl), EPOLLIN, 0, e);
	if (r < 0) {
		bird_close(b);
		return r;
	}
	b->on_trial = bird_file_is_on_trial(&b->file);
	CLEANUP_FREE char *text = bird_file_read(&b->file);
	if (text) {
		bird_learned_from_text(&b->learned, text, boot_now_ms());
		read_services(b, text);
	}
	*out = b;
	return 0;
}

void bird_close(struct bird *b)
{
	if (!b)
		return;
	bird_ctl_close(b->ctl);
	wait_close(&b->wait);
	free(b->text);
	bird_learned_done(&b->learned);
	free(b->services);
	bird_sessions_done(&b->sessions);
	free(b);
}

int bird_fd(const struct bird *b)
{
	return wait_fd(&b->wait);
}

void bird_status(const struct bird *b, struct bird_status *out)
{
	*out = b->status;
}

const struct bird_session *bird_sessions_all(const struct bird *b, size_t *n)
{
	*n = b->sessions.n;
	return b->sessions.all;
}

const struct cidr *bird_learned_blocks(const struct bird *b, size_t *n)
{
	*n = b->learned.n;
	return b->learned.blocks;
}

const struct cidr *bird_services_before(const struct bird *b, size_t *n)
{
	*n = b->n_services;
	return b->services;
}

uint64_t bird_want_text(struct bird *b, const char *text)
{
	b->generation++;
	if (!b->text || strcmp(b->text, text) != 0) {
		free(b->text);
		b->text = mem_strdup(text);
		b->serial++;
		b->placed = bird_file_is(&b->file, text);
		b->retry_at_ms = 0;
	}
	if (b->status.loaded && b->loaded_serial == b->serial)
		b->status.loaded = b->generation;
	if (b->status.refused && b->refused_serial == b->serial)
		b->status.refused = b->generation;
	wait_at(&b->wait, 0);
	return b->generation;
}

void bird_expect(struct bird *b, size_t missing)
{
	if (missing == b->missing)
		return;
	int64_t now = boot_now_ms();
	b->missing = missing;
	b->expect_until_ms = missing ? now + EXPECTING_MS : now;
	if (b->learned_at_ms > now + SESSIONS_SOON_MS)
		b->learned_at_ms = now + SESSIONS_SOON_MS;
	wait_at(&b->wait, 0);
}

/* "": none any more. */
static void set_trouble(struct bird *b, const char *what)
{
	(void)text_copy(b->status.trouble, sizeof(b->status.trouble), what);
}

/* What BIRD's own sentence follows, of a command that is tried again later. */
static void set_failure(struct bird *b, const char *what, const char *reply, int64_t now)
{
	char why[192];
	bird_reply_sentence(reply, why, sizeof(why));
	(void)snprintf(b->status.trouble, sizeof(b->status.trouble), "%s: %s", what, why);
	b->retry_at_ms = now + RETRY_MS;
}

static void prod_for_a_while(struct bird *b, int64_t now)
{
	b->prod_until_ms = now + PRODDING_MS;
	b->prod_at_ms = now;
	b->sessions_at_ms = now + SESSIONS_SOON_MS;
	b->learned_at_ms = now + SESSIONS_SOON_MS;
}

static bool is_loaded(const struct bird *b)
{
	return b->status.loaded && b->loaded_serial == b->serial;
}

static void came_up(struct bird *b, int64_t now)
{
	b->status.up = true;
	set_trouble(b, "");
	b->placed = b->text && bird_file_is(&b->file, b->text);
	b->status_known = false;
	bird_learned_renew(&b->learned, now);
	prod_for_a_while(b, now);
}

static void went_down(struct bird *b, const char *why)
{
	b->status = (struct bird_status){.refused = b->status.refused};
	set_trouble(b, why);
	if (b->on_trial) { /* perhaps our text is what ended it: it starts with the former one */
		bird_file_take_back(&b->file);
		b->retry_at_ms = boot_now_ms() + RETRY_MS;
	}
	b->on_trial = false;
	b->asked = NOTHING;
	b->loading = false;
	b->six_is_next = false;
	b->loaded_serial = 0;
}

static void on_loaded(struct bird *b, int64_t now)
{
	b->loading = false;
	b->on_trial = false;
	b->loaded_serial = b->asked_serial;
	b->status.loaded = b->asked_serial == b->serial ? b->generation : b->asked_generation;
	b->status.refused = 0;
	b->refused_serial = 0;
	set_trouble(b, "");
	bird_file_keep(&b->file);
	prod_for_a_while(b, now);
}

static void on_refusal(struct bird *b, const char *text, int64_t now)
{
	set_failure(b, "BIRD refuses the configuration", text, now);
	b->status.refused = b->asked_serial == b->serial ? b->generation : b->asked_generation;
	b->refused_serial = b->asked_serial;
}

static void on_check(struct bird *b, const struct bird_ctl_event *reply, int64_t now)
{
	if (b->asked_serial != b->serial)
		return; /* another text is wanted by now */
	struct err e;
	if (reply->code == 8002) {
		on_refusal(b, reply->text, now);
	} else if (reply->code != 20) {
		set_failure(b, "BIRD does not check the configuration", reply->text, now);
	} else if (bird_file_put(&b->file, &e) < 0) {
		set_trouble(b, e.text);
		b->retry_at_ms = now + RETRY_MS;
	} else {
		b->placed = true;
		b->on_trial = true;
	}
}

static void on_configure(struct bird *b, const struct bird_ctl_event *reply, int64_t now)
{
	switch (reply->code) {
	case 3:
		on_loaded(b, now);
		break;
	case 4:
	case 5:
		b->loading = true;
		prod_for_a_while(b, now);
		break;
	case 8002:
		on_refusal(b, reply->text, now);
		if (b->on_trial)
			bird_file_take_back(&b->file);
		b->on_trial = false;
		b->placed = b->text && bird_file_is(&b->file, b->text);
		break;
	default: /* 0006 it is about to end; 8007 the session is restricted */
		set_failure(b, "BIRD does not configure", reply->text, now);
	}
}

static void on_status(struct bird *b, const struct bird_ctl_event *reply, int64_t now)
{
	struct bird_reply_status status;
	bird_reply_status(reply->text, &status);
	b->status_known = true;
	b->status.recovering = status.recovering;
	if (!b->loading)
		return;
	if (!status.reconfiguring && !status.stopping)
		on_loaded(b, now);
	else if (now >= b->prod_until_ms)
		set_trouble(b, "BIRD is still putting the configuration into effect");
}

/* BIRD gives a session up for good when it cannot listen, and the port may be free by now. One of them
 * is tried at a time; when it has succeeded the next one is, at once. */
static const struct bird_session *find_given_up(const struct bird *b, int64_t now)
{
	for (size_t i = 0; i < b->sessions.n; i++) {
		const struct bird_session *s = &b->sessions.all[i];
		if (bird_sessions_is_given_up(s))
			return strcmp(s->name, b->enabled) != 0 || now >= b->enabled_ms + RETRY_MS
				       ? s
				       : NULL;
	}
	return NULL;
}

static void on_sessions(struct bird *b, const char *reply, int64_t now)
{
	uint32_t were_up = b->status.peers_up;
	b->changed |= bird_sessions_take(&b->sessions, reply, now, boot_wall_s());
	b->status.peers = 0;
	b->status.peers_up = 0;
	for (size_t i = 0; i < b->sessions.n; i++) {
		const struct bird_session *s = &b->sessions.all[i];
		b->status.peers += s->bgp;
		b->status.peers_up += s->bgp && s->up;
		if (!s->up && b->sessions_at_ms > now + SESSIONS_SOON_MS)
			b->sessions_at_ms = now + SESSIONS_SOON_MS;
	}
	if (b->status.peers_up > were_up) /* its routes come now */
		prod_for_a_while(b, now);
}

static void on_event(struct bird *b, const struct bird_ctl_event *event)
{
	int64_t now = boot_now_ms();
	enum asked asked = b->asked;
	b->asked = NOTHING;
	if (event->kind == BIRD_CTL_UP)
		came_up(b, now);
	else if (event->kind == BIRD_CTL_DOWN)
		went_down(b, event->text);
	else if (asked == STATUS)
		on_status(b, event, now);
	else if (asked == SESSIONS)
		on_sessions(b, event->text, now);
	else if (asked == LEARNED4 || asked == LEARNED6)
		b->changed |= bird_learned_take(
			&b->learned, asked == LEARNED6 ? IPV6 : IPV4, event->text, now);
	else if (asked == CHECK)
		on_check(b, event, now);
	else if (asked == CONFIGURE)
		on_configure(b, event, now);
}

/* When to prod next; WAIT_NEVER: no need. */
static int64_t prod_time(const struct bird *b, int64_t now)
{
	if (!b->status_known || now < b->prod_until_ms || b->status.recovering)
		return b->prod_at_ms;
	return b->loading ? b->prod_at_ms + SESSIONS_SOON_MS : WAIT_NEVER;
}

static enum asked next_command(const struct bird *b, int64_t now)
{
	if (!b->status_known)
		return STATUS;
	if (b->text && !is_loaded(b) && !b->loading && now >= b->retry_at_ms)
		return b->placed ? CONFIGURE : CHECK;
	if (now >= prod_time(b, now))
		return STATUS;
	if (find_given_up(b, now))
		return ENABLE;
	if (b->six_is_next)
		return LEARNED6;
	if (now >= b->learned_at_ms)
		return LEARNED4;
	return now >= b->sessions_at_ms ? SESSIONS : NOTHING;
}

/* At the next routes and sessions. */
static int64_t look_again_at(const struct bird *b, int64_t now)
{
	return now + (now < b->prod_until_ms ? SESSIONS_SOON_MS : SESSIONS_MS);
}

static void send_sessions(struct bird *b, int64_t now)
{
	/* Somebody may have removed or edited what BIRD reads when it starts. */
	if (is_loaded(b) && !bird_file_is(&b->file, b->text)) {
		b->placed = false;
		b->loaded_serial = 0;
	}
	b->sessions_at_ms = look_again_at(b, now);
	bird_ctl_send(b->ctl, "show protocols \"roost_*\"", SHOW_TIMEOUT_MS);
}

static void send_enable(struct bird *b, int64_t now)
{
	char command[BIRD_SESSION_NAME + 16];
	(void)text_copy(b->enabled, sizeof(b->enabled), find_given_up(b, now)->name);
	b->enabled_ms = now;
	b->sessions_at_ms = now;
	(void)snprintf(command, sizeof(command), "enable \"%s\"", b->enabled);
	bird_ctl_send(b->ctl, command, SHOW_TIMEOUT_MS);
}

/* Without such pools the name is not known, and the answer has no route. */
static void send_learned(struct bird *b, enum family f, int64_t now)
{
	char command[128];
	char digit = family_digit(f);
	b->six_is_next = f == IPV4;
	b->learned_at_ms =
		now < b->expect_until_ms ? now + SESSIONS_SOON_MS : look_again_at(b, now);
	(void)snprintf(command, sizeof(command),
		"show route primary table master%c where source = RTS_BGP && net ~ roost_blocks%c",
		digit, digit);
	bird_ctl_send(b->ctl, command, SHOW_TIMEOUT_MS);
}

static void send_check(struct bird *b, int64_t now)
{
	char command[BIRD_FILE_PATH + 32];
	struct err e;
	if (bird_file_write(&b->file, b->text, &e) < 0) {
		b->asked = NOTHING;
		set_trouble(b, e.text);
		b->retry_at_ms = now + RETRY_MS;
		return;
	}
	(void)snprintf(command, sizeof(command), "configure check \"%s\"", b->file.check);
	bird_ctl_send(b->ctl, command, LOAD_TIMEOUT_MS);
}

static void send_command(struct bird *b, enum asked what, int64_t now)
{
	b->asked = what;
	if (what == CHECK || what == CONFIGURE) {
		b->asked_serial = b->serial;
		b->asked_generation = b->generation;
	}
	switch (what) {
	case STATUS:
		b->prod_at_ms = now + PROD_MS;
		bird_ctl_send(b->ctl, "show status", SHOW_TIMEOUT_MS);
		break;
	case SESSIONS:
		send_sessions(b, now);
		break;
	case ENABLE:
		send_enable(b, now);
		break;
	case LEARNED4:
		send_learned(b, IPV4, now);
		break;
	case LEARNED6:
		send_learned(b, IPV6, now);
		break;
	case CHECK:
		send_check(b, now);
		break;
	case CONFIGURE:
		bird_ctl_send(b->ctl, "configure", LOAD_TIMEOUT_MS);
		break;
	case NOTHING:
		break;
	}
}

/* When something of ours is due next; while BIRD is down or busy, the socket's descriptor wakes us. */
static void plan_next(struct bird *b, int64_t now)
{
	int64_t at = WAIT_NEVER;
	if (b->status.up && !bird_ctl_is_busy(b->ctl)) {
		at = prod_time(b, now);
		at = b->sessions_at_ms < at ? b->sessions_at_ms : at;
		at = b->learned_at_ms < at ? b->learned_at_ms : at;
		if (b->text && !is_loaded(b) && !b->loading && b->retry_at_ms < at)
			at = b->retry_at_ms;
	}
	wait_at(&b->wait, at);
}

static bool is_same_status(const struct bird_status *a, const struct bird_status *b)
{
	return a->up == b->up && a->recovering == b->recovering && a->loaded == b->loaded &&
	       a->refused == b->refused && a->peers == b->peers && a->peers_up == b->peers_up &&
	       strcmp(a->trouble, b->trouble) == 0;
}

int bird_step(struct bird *b, struct err *e)
{
	(void)e; /* what goes wrong is BIRD's trouble, and in the status */
	/* Bounded, so that a BIRD which answers at once does not keep the agent. */
	for (int i = 0; i < 16; i++) {
		struct bird_ctl_event event;
		if (bird_ctl_next(b->ctl, &event))
			on_event(b, &event);
		else if (b->asked != NOTHING || !b->status.up)
			break;
		int64_t now = boot_now_ms();
		if (b->status.up && b->asked == NOTHING)
			send_command(b, next_command(b, now), now);
		if (b->asked == NOTHING && b->status.up)
			break;
	}
	plan_next(b, boot_now_ms());
	bool changed = b->changed || !is_same_status(&b->status, &b->shown);
	b->changed = false;
	b->shown = b->status;
	return changed ? 1 : 0;
}
