/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store at the end of a pipe, for test scripts: requests are lines of JSON on stdin, events are
 * lines of JSON on stdout. It waits on stdin and on store_fd() like an agent, and measures the
 * longest time that a call of the non-waiting interface kept it ("stall").
 *
 *	store_tool URL [KEY=VALUE...]	keys: prefix ca cert key user password pools timeout
 *
 *	{"op":"watch","prefix":""}		{"op":"write","key":"","value":null,
 *	{"op":"trouble"}			 "revision":0,"timeout":1000}
 *	{"op":"get","key":""}			{"op":"wait-write", as write}
 *	{"op":"put","key":"","value":""}	whatever is there; value null: nothing shall be
 *	{"op":"list","prefix":""}		{"op":"count","prefix":"","n":1}: numbers only
 *	{"op":"hammer","key":"","n":1}		n increments by compare and swap
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "lib/json.h"
#include "lib/mem.h"
#include "store/store.h"
#include "tests/overwrite.h"

static int64_t stall_us; /* the longest so far */
static uint64_t counted; /* the watch that is only counted */
static int64_t count, told;

static int64_t now_us(void)
{
	struct timespec t;
	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void note_stall(int64_t since)
{
	int64_t took = now_us() - since;
	stall_us = took > stall_us ? took : stall_us;
}

static void say(json_t *doc)
{
	CLEANUP_FREE char *text = json_text(doc);
	(void)printf("%s\n", text);
	(void)fflush(stdout);
	json_decref(doc);
}

static void say_error(int error, const struct err *e)
{
	say(json_pack("{s:s,s:i,s:s}", "kind", "ERROR", "error", error, "what", e->text));
}

static void say_event(const struct store_event *ev)
{
	static const char *const kinds[] = {
		"DONE", "CONFLICT", "FAILED", "RESTART", "PUT", "DELETE", "CURRENT"};
	const char *value = !ev->value || json_is_utf8(ev->value) ? ev->value : "not UTF-8";
	say(json_pack("{s:I,s:s,s:I,s:s?,s:s?,s:i,s:s?}", "id", (json_int_t)ev->id, "kind",
		kinds[ev->kind], "revision", (json_int_t)ev->revision, "key", ev->key, "value",
		value, "error", ev->error, "what", ev->what));
}

static bool next(struct store *s, struct store_event *ev)
{
	int64_t since = now_us();
	bool has = store_next(s, ev);
	note_stall(since);
	return has;
}

static void drain(struct store *s)
{
	struct store_event ev;
	while (next(s, &ev)) {
		if (ev.id != counted) {
			say_event(&ev);
			continue;
		}
		told += ev.kind == STORE_PUT;
		if (ev.kind == STORE_CURRENT && told >= count)
			counted = 0;
	}
}

static const char *text_of(const json_t *request, const char *key)
{
	const char *s = json_string_value(json_object_get(request, key));
	return s ? s : "";
}

static int64_t number_of(const json_t *request, const char *key)
{
	return json_integer_value(json_object_get(request, key));
}

static struct store_write read_write(const json_t *request)
{
	return (struct store_write){
		.key = text_of(request, "key"),
		.value = json_string_value(json_object_get(request, "value")),
		.revision = number_of(request, "revision"),
	};
}

static void do_write(struct store *s, const json_t *request)
{
	const struct store_write w = read_write(request);
	int64_t since = now_us();
	uint64_t id = store_start_write(s, &w, (unsigned int)number_of(request, "timeout"));
	note_stall(since);
	say(json_pack("{s:s,s:I}", "kind", "STARTED", "id", (json_int_t)id));
}

static void say_written(int r, const struct err *e)
{
	if (r < 0)
		say_error(r, e);
	else
		say(json_pack("{s:s,s:i}", "kind", "WRITTEN", "result", r));
}

static void do_wait_write(struct store *s, const json_t *request)
{
	const struct store_write w = read_write(request);
	struct err e;
	int r = store_write(s, &w, &e);
	say_written(r, &e);
}

static void do_put(struct store *s, const json_t *request)
{
	const struct store_write w = read_write(request);
	struct err e;
	int r = overwrite(s, w.key, w.value, &e);
	say_written(r, &e);
}

static void do_watch(struct store *s, const json_t *request)
{
	int64_t since = now_us();
	uint64_t id = store_start_watch(s, text_of(request, "prefix"));
	note_stall(since);
	say(json_pack("{s:s,s:I}", "kind", "STARTED", "id", (json_int_t)id));
}

static void do_get(struct store *s, const json_t *request)
{
	struct store_doc doc = {0};
	struct err e;
	int r = store_get(s, text_of(request, "key"), &doc, &e);
	if (r < 0)
		say_error(r, &e);
	else
		say(json_pack("{s:s,s:i,s:s?,s:I}", "kind", "GOT", "result", r, "value", doc.value,
			"revision", (json_int_t)doc.revision));
	free(doc.key);
	free(doc.value);
}

static void do_list(struct store *s, const json_t *request)
{
	struct store_doc *docs = NULL;
	size_t n = 0;
	struct err e;
	int r = store_list(s, text_of(request, "prefix"), &docs, &n, &e);
	if (r < 0) {
		say_error(r, &e);
		return;
	}
	json_t *list = json_array();
	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, json_pack("[s,s,I]", docs[i].key, docs[i].value,
						    (json_int_t)docs[i].revision));
	say(json_pack("{s:s,s:o}", "kind", "LIST", "docs", list));
	store_docs_free(docs, n);
}

static void do_count(struct store *s, const json_t *request)
{
	struct rusage before;
	struct rusage after;
	(void)getrusage(RUSAGE_SELF, &before);
	int64_t since = now_us();
	told = 0;
	count = number_of(request, "n");
	counted = store_start_watch(s, text_of(request, "prefix"));
	while (counted) {
		struct pollfd p = {.fd = store_fd(s), .events = POLLIN};
		(void)poll(&p, 1, 10000);
		drain(s);
	}
	(void)getrusage(RUSAGE_SELF, &after);
	say(json_pack("{s:s,s:I,s:I,s:I}", "kind", "COUNT", "n", (json_int_t)told, "us",
		(json_int_t)(now_us() - since), "grown_kib",
		(json_int_t)(after.ru_maxrss - before.ru_maxrss)));
}

/* One increment: 1, 0 after a conflict, -errno. */
static int increment(struct store *s, const char *key, struct err *e)
{
	struct store_doc doc = {0};
	int r = store_get(s, key, &doc, e);
	if (r < 0)
		return r;
	char value[64];
	long n = doc.value ? strtol(doc.value, NULL, 10) : 0;
	(void)snprintf(value, sizeof(value), "%ld %d", n + 1, (int)getpid());
	const struct store_write w = {.key = key, .value = value, .revision = doc.revision};
	free(doc.key);
	free(doc.value);
	return store_write(s, &w, e);
}

static void do_hammer(struct store *s, const json_t *request)
{
	struct err e;
	int64_t done = 0;
	int64_t conflicts = 0;
	while (done < number_of(request, "n")) {
		int r = increment(s, text_of(request, "key"), &e);
		if (r < 0) {
			say_error(r, &e);
			return;
		}
		done += r;
		conflicts += !r;
	}
	say(json_pack("{s:s,s:I,s:I}", "kind", "HAMMERED", "n", (json_int_t)done, "conflicts",
		(json_int_t)conflicts));
}

static void do_trouble(struct store *s, const json_t *request)
{
	(void)request;
	int64_t since = 0;
	const char *what = store_trouble(s, &since);
	say(json_pack("{s:s,s:s?,s:I,s:I}", "kind", "TROUBLE", "what", what, "since",
		(json_int_t)since, "stall_us", (json_int_t)stall_us));
	stall_us = 0;
}

static void obey(struct store *s, const char *line)
{
	static const struct {
		const char *op;
		void (*run)(struct store *s, const json_t *request);
	} table[] = {{"write", do_write}, {"wait-write", do_wait_write}, {"put", do_put},
		{"watch", do_watch}, {"get", do_get}, {"list", do_list}, {"count", do_count},
		{"hammer", do_hammer}, {"trouble", do_trouble}};
	CLEANUP_JSON json_t *request = json_loads(line, 0, NULL);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (strcmp(text_of(request, "op"), table[i].op) == 0)
			table[i].run(s, request);
}

/* Obeys the complete lines of in; returns what is left. */
static size_t obey_all(struct store *s, char *in, size_t len)
{
	char *line = in;
	in[len] = '\0';
	for (char *end = strchr(line, '\n'); end; end = strchr(line, '\n')) {
		*end = '\0';
		obey(s, line);
		line = end + 1;
	}
	size_t left = len - (size_t)(line - in);
	memmove(in, line, left);
	return left;
}

static int serve(struct store *s)
{
	static char in[8 << 20];
	size_t len = 0;
	for (;;) {
		struct pollfd p[] = {{.fd = STDIN_FILENO, .events = POLLIN},
			{.fd = store_fd(s), .events = POLLIN}};
		if (poll(p, 2, -1) < 0)
			return 1;
		if (p[1].revents)
			drain(s);
		if (!p[0].revents)
			continue;
		ssize_t n = read(STDIN_FILENO, in + len, sizeof(in) - 1 - len);
		if (n <= 0)
			return 0;
		len = obey_all(s, in, len + (size_t)n);
	}
}

static void set_option(struct store_options *o, char *argument)
{
	char *value = strchr(argument, '=');
	if (!value)
		return;
	*value++ = '\0';
	const struct {
		const char *name;
		const char **at;
	} table[] = {{"prefix", &o->prefix}, {"ca", &o->ca_file}, {"cert", &o->cert_file},
		{"key", &o->key_file}, {"user", &o->user}, {"password", &o->password_file},
		{"pools", &o->pools_file}};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (strcmp(argument, table[i].name) == 0)
			*table[i].at = value;
	if (strcmp(argument, "timeout") == 0)
		o->timeout_ms = (unsigned int)strtoul(value, NULL, 10);
}

int main(int argc, char **argv)
{
	struct store_options o = {.url = argc > 1 ? argv[1] : ""};
	for (int i = 2; i < argc; i++)
		set_option(&o, argv[i]);
	struct store *s = NULL;
	struct err e;
	int r = store_open(&s, &o, &e);
	if (r < 0) {
		say_error(r, &e);
		return 1;
	}
	say(json_pack("{s:s}", "kind", "OPEN"));
	r = serve(s);
	store_close(s);
	return r;
}
