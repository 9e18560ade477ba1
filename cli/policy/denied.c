/* SPDX-License-Identifier: Apache-2.0 */
/*
 * roostctl policy denied: the packets that were denied on this node lately, as its agent remembers them, the latest
 * last. With --follow the agent is asked once a second for what is new, until somebody ends the command.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/config.h"
#include "cli/output.h"
#include "cli/table.h"
#include "lib/ask.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/text.h"

#define AGENT_MS 5000
#define ENDS 2

static bool is_staged(const struct options *o)
{
	return o->given & OPTION_STAGED;
}

static int ask_denied(const struct options *o, int64_t after, json_t **answer, struct err *e)
{
	struct config c;
	CLEANUP_JSON json_t *request = json_pack("{s:s, s:I, s:b}", "op", "policy-denied", "after",
		(json_int_t)after, "staged", (int)is_staged(o));
	int r = config_socket(o, &c, e);
	return r < 0 ? r
		     : ask(c.socket, request, o->timeout_ms ? o->timeout_ms : AGENT_MS, answer, e);
}

static void say_end(struct text *t, const json_t *entry, const char *pod, const char *address)
{
	const char *name = json_text_at(entry, pod);
	text_add(t, "%s%s%s", name, *name ? " " : "", json_text_at(entry, address));
}

static void say_why(struct text *t, const json_t *entry)
{
	const char *by = json_text_at(entry, "by");
	bool isolated = json_is_true(json_object_get(entry, "isolated"));
	if (strcmp(json_text_at(entry, "kind"), "staged") == 0)
		text_add(t, "would be denied with %s", by);
	else if (*by)
		text_add(t, "%s%s", isolated ? "isolated by " : "by ", by);
	else
		text_add(t, "its policies are not known yet, or not any more");
}

static uint64_t count_of(const json_t *entry)
{
	return (uint64_t)json_integer_value(json_object_get(entry, "count"));
}

static void print_table(const json_t *list, bool staged)
{
	CLEANUP_TABLE struct table t;
	const json_t *entry;
	size_t i;
	table_init(&t,
		staged ? "LAST|>LOOKS|WAY|FROM|TO|PORT|WHY" : "LAST|>PACKETS|WAY|FROM|TO|PORT|WHY");
	json_array_foreach (list, i, entry) {
		struct text CLEANUP_TEXT from = {0}, to = {0}, why = {0};
		say_end(&from, entry, "sourcePod", "source");
		say_end(&to, entry, "destinationPod", "destination");
		say_why(&why, entry);
		table_row(&t, json_text_at(entry, "last"), NUMBER_STRING(count_of(entry)),
			json_text_at(entry, "way"), from.buf, to.buf, json_text_at(entry, "port"),
			why.buf);
	}
	if (i > 0)
		table_print(&t, stdout);
	else
		(void)fprintf(stderr, staged ? "roostctl: staged policies would deny no "
					       "connection that was seen here lately\n"
					     : "roostctl: no packet was denied here lately\n");
}

/* Packets; of staged policies, how often the connection was met by a look. */
static void print_line(const json_t *entry)
{
	struct text CLEANUP_TEXT t = {0};
	bool staged = strcmp(json_text_at(entry, "kind"), "staged") == 0;
	text_add(&t, "%s %s %s: ", json_text_at(entry, "last"),
		COUNT_STRING(
			count_of(entry), staged ? "look" : "packet", staged ? "looks" : "packets"),
		json_text_at(entry, "way"));
	say_end(&t, entry, "sourcePod", "source");
	text_add(&t, " -> ");
	say_end(&t, entry, "destinationPod", "destination");
	text_add(&t, " %s, ", json_text_at(entry, "port"));
	say_why(&t, entry);
	CLEANUP_FREE char *clean = mem_new_raw(t.len + 1);
	output_clean(clean, t.len + 1, t.buf);
	(void)printf("%s\n", clean);
}

/* As they come, each in a line. */
static void print_new(const struct options *o, const json_t *list)
{
	const json_t *entry;
	size_t i;
	json_array_foreach (list, i, entry) {
		CLEANUP_FREE char *text =
			o->json ? json_dumps(entry, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;
		if (text)
			(void)printf("%s\n", text);
		else
			print_line(entry);
	}
	(void)fflush(stdout);
}

/* An agent that starts anew begins to number anew. */
static int64_t next_number(const json_t *answer, int64_t after)
{
	int64_t number = json_integer_value(json_object_get(answer, "number"));
	return number < after ? 0 : number;
}

static int follow(const struct options *o, int64_t after)
{
	const struct itimerspec second = {.it_interval.tv_sec = 1, .it_value.tv_sec = 1};
	CLEANUP_FD int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	uint64_t ticks;
	struct err e;
	int r = timer < 0 || timerfd_settime(timer, 0, &second, NULL) < 0
			? err_set(&e, errno, "cannot make a timer")
			: 0;
	while (r >= 0 && !ferror(stdout)) {
		CLEANUP_JSON json_t *answer = NULL;
		if (read(timer, &ticks, sizeof(ticks)) < 0 && errno != EINTR)
			r = err_set(&e, errno, "cannot read a timer");
		if (r >= 0)
			r = ask_denied(o, after, &answer, &e);
		if (r >= 0)
			print_new(o, json_object_get(answer, "denied"));
		if (r >= 0)
			after = next_number(answer, after);
	}
	return r < 0 ? output_error(&e) : 0;
}

int policy_denied(const struct options *o)
{
	CLEANUP_JSON json_t *answer = NULL;
	struct err e;
	if (ask_denied(o, 0, &answer, &e) < 0)
		return output_error(&e);
	const json_t *list = json_object_get(answer, "denied");
	if (o->given & OPTION_FOLLOW) {
		print_new(o, list);
		return follow(o, next_number(answer, 0));
	}
	if (o->json)
		output_json(json_pack("{s:O}", "denied", list));
	else
		print_table(list, is_staged(o));
	return 0;
}
