/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A line of `show protocols` is Name Proto Table State Since Info. Since is one word or several, as
 * `timeformat protocol` says, and Info of a BGP session is its state, then the class of its last error
 * and the error (proto/bgp/bgp.c, bgp_get_status()); of a session that is down the error alone. So
 * nothing is found by its place behind State: the words of a state and of a class are looked for.
 *
 * BIRD forgets the reason whenever it begins anew, and it goes from phase to phase all the time. So that
 * what people read stands still, the reason stays until the session is up or has another one.
 */
#include "agent/bird/sessions.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/bird/reply.h"
#include "lib/mem.h"
#include "lib/search.h"
#include "lib/text.h"

/* In the order of the longer one first, as one ends in the other. */
static const struct {
	const char *words;
	enum bird_fault fault;
} classes[] = {
	{"BGP Error: ", BIRD_FAULT_SENT},
	{"Error: ", BIRD_FAULT_HERE},
	{"Socket: ", BIRD_FAULT_SOCKET},
	{"Received: ", BIRD_FAULT_RECEIVED},
	{"Automatic shutdown: ", BIRD_FAULT_LIMIT},
};

static const struct {
	const char *word;
	enum bird_phase phase;
} phases[] = {
	{"Idle", BIRD_CONNECTS},
	{"Connect", BIRD_CONNECTS},
	{"Active", BIRD_CONNECTS},
	{"Passive", BIRD_WAITS},
	{"OpenSent", BIRD_SPEAKS},
	{"OpenConfirm", BIRD_SPEAKS},
	{"Close", BIRD_CONNECTS},
};

void bird_sessions_done(struct bird_sessions *s)
{
	free(s->all);
	*s = (struct bird_sessions){0};
}

/* The next word of a line; 0: there is none. *at is moved to its begin. */
static size_t next_word(const char **at)
{
	*at += strspn(*at, " \t");
	return strcspn(*at, " \t");
}

static bool is_word(const char *at, size_t len, const char *word)
{
	return strlen(word) == len && strncmp(at, word, len) == 0;
}

/* info: what stands behind State. */
static void read_bgp(const char *info, struct bird_session *out)
{
	for (size_t len = next_word(&info); len; info += len, len = next_word(&info)) {
		if (is_word(info, len, "Established"))
			out->up = true;
		for (size_t i = 0; i < sizeof(phases) / sizeof(phases[0]); i++)
			if (is_word(info, len, phases[i].word))
				out->phase = phases[i].phase;
		for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
			size_t n = strlen(classes[i].words);
			if (strncmp(info, classes[i].words, n) != 0)
				continue;
			out->fault = classes[i].fault;
			(void)text_copy(out->reason, sizeof(out->reason), info + n);
			for (n = strlen(out->reason); n && out->reason[n - 1] == ' '; n--)
				out->reason[n - 1] = '\0';
			return;
		}
	}
}

/* false: no line of a protocol of ours. */
static bool read_line(const char *line, struct bird_session *out)
{
	*out = (struct bird_session){0};
	size_t len = next_word(&line);
	if (len >= sizeof(out->name) || strncmp(line, "roost_", 6) != 0)
		return false;
	(void)snprintf(out->name, sizeof(out->name), "%.*s", (int)len, line);
	line += len;
	len = next_word(&line);
	out->bgp = is_word(line, len, "BGP");
	line += len;
	line += next_word(&line); /* Table */
	len = next_word(&line);
	bool is_up = is_word(line, len, "up");
	if (out->bgp)
		read_bgp(line + len, out);
	else
		out->up = is_up;
	return true;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(
		((const struct bird_session *)a)->name, ((const struct bird_session *)b)->name);
}

static int compare_to_name(const void *element, const void *key)
{
	return strcmp(((const struct bird_session *)element)->name, key);
}

const struct bird_session *bird_sessions_find(
	const struct bird_session *sorted, size_t n, const char *name)
{
	return search_find(sorted, n, sizeof(*sorted), name, compare_to_name);
}

/* What was known of it before; true: what people read is another now. */
static bool go_on_from(struct bird_session *now, const struct bird_session *before)
{
	if (now->up) {
		now->fault = BIRD_FAULT_NONE;
		*now->reason = '\0';
		return !before || !before->up;
	}
	if (!before || before->up)
		return true;
	now->since_ms = before->since_ms;
	now->since_s = before->since_s;
	if (now->fault == BIRD_FAULT_NONE) {
		now->fault = before->fault;
		memcpy(now->reason, before->reason, sizeof(now->reason));
	}
	return now->fault != before->fault || now->phase != before->phase ||
	       strcmp(now->reason, before->reason) != 0;
}

bool bird_sessions_take(
	struct bird_sessions *s, const char *reply, int64_t now_ms, int64_t now_wall_s)
{
	struct bird_sessions all = {0};
	size_t room = 0;
	char line[BIRD_REPLY_LINE];
	int code;
	while (bird_reply_line(&reply, &code, line, sizeof(line))) {
		all.all = mem_grow(all.all, &room, all.n, sizeof(*all.all));
		all.n += code == 1002 && read_line(line, &all.all[all.n]);
	}
	if (all.n)
		qsort(all.all, all.n, sizeof(*all.all), compare_names);
	bool changed = all.n != s->n;
	for (size_t i = 0; i < all.n; i++) {
		struct bird_session *one = &all.all[i];
		one->since_ms = one->up ? 0 : now_ms;
		one->since_s = one->up ? 0 : now_wall_s;
		changed |= go_on_from(one, bird_sessions_find(s->all, s->n, one->name));
	}
	bird_sessions_done(s);
	*s = all;
	return changed;
}

/* proto/bgp/bgp.c, bgp_initiate(): these two disable the protocol. */
bool bird_sessions_is_given_up(const struct bird_session *s)
{
	return s->bgp && !s->up && s->phase == BIRD_ENDED && s->fault == BIRD_FAULT_HERE &&
	       (strcmp(s->reason, "No listening socket") == 0 ||
		       strcmp(s->reason, "Kernel MD5 auth failed") == 0);
}

void bird_sessions_words(const struct bird_session *s, char *out, size_t size)
{
	static const char *const doing[] = {[BIRD_ENDED] = "down",
		[BIRD_CONNECTS] = "Connect",
		[BIRD_WAITS] = "Passive",
		[BIRD_SPEAKS] = "OpenSent"};
	for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++)
		if (classes[i].fault == s->fault) {
			(void)snprintf(out, size, "%s%s", classes[i].words, s->reason);
			return;
		}
	(void)text_copy(out, size, doing[s->phase]);
}
