/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client of an API server at the end of a pipe, for test scripts: requests are lines of JSON on
 * stdin, events are lines of JSON on stdout.
 *
 *	kube_tool KUBECONFIG [KEY=VALUE...]	keys: server folder timeout. "": a pod's account
 *
 *	{"op":"watch","path":"","fields":"","labels":"","metadata":true}	{"op":"list", as watch}
 *	{"op":"request","method":"GET","path":"","body":{},"timeout":1000}	{"op":"wait", as request}
 *	{"op":"stop","id":1}	{"op":"trouble"}
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/json.h"
#include "lib/mem.h"
#include "lib/text.h"
#include "store/kube/kube.h"

static void say(json_t *doc)
{
	CLEANUP_FREE char *text = json_text(doc);
	(void)printf("%s\n", text);
	(void)fflush(stdout);
	json_decref(doc);
}

static void say_event(const struct kube_event *ev)
{
	static const char *const kinds[] = {
		"ANSWER", "FAILED", "RESTART", "EXISTS", "GONE", "CURRENT"};
	say(json_pack("{s:I,s:s,s:i,s:O?,s:s?,s:s?,s:I,s:i,s:s?}", "id", (json_int_t)ev->id, "kind",
		kinds[ev->kind], "status", ev->status, "object", ev->object, "name", ev->name,
		"namespace", ev->namespace_, "version", (json_int_t)ev->version, "error", ev->error,
		"what", ev->what));
}

static const char *text_of(const json_t *request, const char *key)
{
	return json_string_value(json_object_get(request, key));
}

static void say_started(uint64_t id)
{
	say(json_pack("{s:s,s:I}", "kind", "STARTED", "id", (json_int_t)id));
}

static void do_watch(struct kube *k, const json_t *request)
{
	const struct kube_selection s = {
		.path = text_of(request, "path"),
		.field_selector = text_of(request, "fields"),
		.label_selector = text_of(request, "labels"),
		.metadata_only = json_is_true(json_object_get(request, "metadata")),
	};
	bool once = strcmp(text_of(request, "op"), "list") == 0;
	say_started(once ? kube_start_list(k, &s) : kube_start_watch(k, &s));
}

static enum kube_method method_of(const json_t *request)
{
	static const char *const methods[] = {
		"GET", "POST", "PUT", "DELETE", "PATCH", "PATCH_JSON", "PATCH_STRATEGIC"};
	return (enum kube_method)TEXT_INDEX(text_of(request, "method"), methods);
}

static void do_request(struct kube *k, const json_t *request)
{
	json_int_t timeout = json_integer_value(json_object_get(request, "timeout"));
	say_started(kube_start_request(k, method_of(request), text_of(request, "path"),
		json_object_get(request, "body"), (unsigned int)timeout));
}

static void do_wait(struct kube *k, const json_t *request)
{
	struct err e;
	json_t *object = NULL;
	int r = kube_request(k, method_of(request), text_of(request, "path"),
		json_object_get(request, "body"), &object, &e);
	if (r < 0)
		say(json_pack("{s:s,s:i,s:s}", "kind", "ERROR", "error", r, "what", e.text));
	else
		say(json_pack("{s:s,s:i,s:o?}", "kind", "ANSWERED", "status", r, "object", object));
}

static void do_stop(struct kube *k, const json_t *request)
{
	kube_stop(k, (uint64_t)json_integer_value(json_object_get(request, "id")));
}

static void do_trouble(struct kube *k, const json_t *request)
{
	(void)request;
	say(json_pack("{s:s,s:s?}", "kind", "TROUBLE", "what", kube_trouble(k, NULL)));
}

static void obey(struct kube *k, const char *line)
{
	static const struct {
		const char *op;
		void (*run)(struct kube *k, const json_t *request);
	} table[] = {{"watch", do_watch}, {"list", do_watch}, {"request", do_request},
		{"wait", do_wait}, {"stop", do_stop}, {"trouble", do_trouble}};
	CLEANUP_JSON json_t *request = json_loads(line, 0, NULL);
	const char *op = text_of(request, "op");
	for (size_t i = 0; op && i < sizeof(table) / sizeof(table[0]); i++)
		if (strcmp(op, table[i].op) == 0)
			table[i].run(k, request);
}

static void drain(struct kube *k)
{
	struct kube_event ev;
	while (kube_next(k, &ev))
		say_event(&ev);
}

static void serve(struct kube *k)
{
	static char line[4u << 20];
	for (;;) {
		struct pollfd p[] = {
			{.fd = STDIN_FILENO, .events = POLLIN},
			{.fd = kube_fd(k), .events = POLLIN},
		};
		drain(k);
		(void)poll(p, 2, -1);
		if ((p[0].revents & (POLLIN | POLLHUP)) && !fgets(line, sizeof(line), stdin))
			return;
		if (p[0].revents & POLLIN)
			obey(k, line);
	}
}

int main(int argc, char **argv)
{
	struct kube_options o = {.config = argc > 1 ? argv[1] : NULL};
	struct kube *k = NULL;
	struct err e;
	for (int i = 2; i < argc; i++) {
		if (strncmp(argv[i], "server=", 7) == 0)
			o.server = argv[i] + 7;
		if (strncmp(argv[i], "folder=", 7) == 0)
			o.folder = argv[i] + 7;
		if (strncmp(argv[i], "timeout=", 8) == 0)
			o.timeout_ms = (unsigned int)strtoul(argv[i] + 8, NULL, 10);
	}
	(void)setvbuf(stdin, NULL, _IONBF, 0); /* what is read must not hide from poll() */
	int r = kube_open(&k, &o, &e);
	say(json_pack("{s:s,s:i,s:s}", "kind", "OPEN", "error", r, "what", r < 0 ? e.text : ""));
	if (r < 0)
		return 1;
	serve(k);
	kube_close(k);
	return 0;
}
