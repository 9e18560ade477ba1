/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way to the node state. Three things can go wrong that are nobody's bug here: there is no
 * state (no pod was started since boot, or the folder is another), a stopped process holds the
 * lock, or the file is damaged. All three must end in a sentence.
 *
 * lib/deadline.h answers on stdout, as CNI wants it; an operator's errors belong on stderr, and a
 * program that reads our JSON must get all of it or nothing. So while the state is open, descriptor
 * 1 is lent to stderr; nothing is printed in that time. The timer ends with the state: printing
 * into a pager may take as long as it likes.
 *
 * A look takes the state as other processes leave it (NODE_READ). A change is made alone: with the
 * exclusive lock no ADD stands between its record and its link, so what looks leaked is leaked.
 */
#include "cli/state.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/output.h"
#include "ipam/registry.h"
#include "ipam/session.h"
#include "lib/deadline.h"
#include "lib/json.h"
#include "lib/text.h"

#define SECONDS 10

static int lent = -1; /* stdout, while descriptor 1 is stderr; one state is open at a time */

static void state_answer(const char *dir, const char *what)
{
	char raw[1024], clean[1024];
	struct text t = TEXT_ON(raw);
	text_add(&t, "roostctl: the node state in %.400s: %s", dir, what);
	output_clean(clean, sizeof(clean) - 1, raw);
	struct text line = {.buf = clean, .size = sizeof(clean), .len = strlen(clean)};
	text_add(&line, "\n");
	deadline_answer(clean);
}

static void state_begin(const char *dir)
{
	(void)fflush(stdout);
	lent = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	(void)dup2(STDERR_FILENO, STDOUT_FILENO);
	state_answer(dir,
		"another process holds its lock for more than 10 seconds, nothing was done "
		"(to find it: fuser -v on the files in there)");
	deadline_start(SECONDS);
}

static void state_end(void)
{
	(void)signal(SIGALRM, SIG_IGN);
	if (lent < 0)
		return;
	(void)dup2(lent, STDOUT_FILENO);
	(void)close(lent);
	lent = -1;
}

/* Where pods have been started is what somebody wants to know who looks into the wrong folder. */
static void say_none(const char *dir)
{
	CLEANUP_TEXT struct text folders = {0};
	char *rest = NULL;
	struct err ignored = {0};
	(void)output_complain("no state of this boot in %s: no pod has been started with this "
			      "state folder (--state-dir)",
		dir);
	if (registry_name_others(dir, &folders, &ignored) < 0 || folders.len == 0)
		return;
	for (char *line = strtok_r(folders.buf, "\n", &rest); line;
		line = strtok_r(NULL, "\n", &rest))
		(void)output_complain("there is one in %s", line);
}

int state_read(const char *dir, struct node_view *out, struct err *e)
{
	struct node *n = NULL;
	*out = (struct node_view){0};
	state_begin(dir);
	int r = node_open(&n, dir, NODE_READ, e);
	if (r >= 0)
		r = node_list(n, out, e);
	node_close(n);
	state_end();
	if (r != -ENOENT)
		return r < 0 ? r : 1;
	say_none(dir);
	return 0;
}

/* Looks first whether there is something to open: opening for a change would make it. */
int state_open(const char *dir, bool heal, struct node **out, struct err *e)
{
	CLEANUP_NET struct net *net = NULL;
	struct node *n = NULL;
	state_begin(dir);
	int r = node_open(&n, dir, NODE_READ, e);
	node_close(n);
	n = NULL;
	if (r >= 0 || (r == -EUCLEAN && heal))
		r = node_open(&n, dir, NODE_EXCLUSIVE, e);
	if (r >= 0)
		r = session_adopt(n, &net, e);
	if (r < 0) {
		state_close(n);
		if (r == -ENOENT)
			say_none(dir);
		return r == -ENOENT ? 0 : r;
	}
	state_answer(dir, "not done within 10 seconds; what was done so far stands, run it again");
	const char *aside = node_set_aside(n);
	if (aside)
		(void)output_complain("the damaged state was set aside as %s and rebuilt from the "
				      "kernel; what cannot be proven free is quarantined",
			aside);
	*out = n;
	return 1;
}

void state_close(struct node *n)
{
	node_close(n);
	state_end();
}

/* ---- Several folders ---- */

static void join_lists(json_t *to, json_t *list, const char *dir)
{
	size_t i = 0;
	json_t *element = NULL;
	json_array_foreach (list, i, element)
		if (json_is_object(element))
			json_put(element, "stateDir", json_of_text(dir));
	(void)json_array_extend(to, list);
}

/* One is right when all are; something was done when it was in one of them. */
static bool join_truths(const char *key, bool a, bool b)
{
	return strcmp(key, "ok") == 0 ? a && b : a || b;
}

void state_join(json_t **all, json_t *one, const char *dir)
{
	const char *key;
	json_t *value = NULL;
	bool first = !*all;
	if (first)
		*all = json_is_array(one) ? json_array() : json_object();
	if (json_is_array(one))
		join_lists(*all, one, dir);
	json_object_foreach (one, key, value) {
		if (json_is_array(value)) {
			if (first)
				json_put(*all, key, json_array());
			join_lists(json_object_get(*all, key), value, dir);
		} else {
			bool before = json_is_true(json_object_get(*all, key));
			bool now = json_is_true(value);
			json_put(*all, key,
				json_boolean(first ? now : join_truths(key, before, now)));
		}
	}
	json_decref(one);
}

int state_each(const struct options *o, state_command *run)
{
	CLEANUP_JSON json_t *all = NULL;
	struct config_dirs dirs;
	struct err e = {0};
	int status = 0;
	if (config_state_dirs(o, &dirs, &e) < 0)
		return output_error(&e);
	for (size_t i = 0; i < dirs.n; i++) {
		struct options one = *o;
		json_t *doc = NULL;
		one.state_dir = dirs.list[i];
		if (dirs.n > 1 && !o->json)
			(void)printf("%sstate folder %s\n", i ? "\n" : "", dirs.list[i]);
		int r = run(&one, &doc);
		status = r > status ? r : status;
		if (doc)
			state_join(&all, doc, dirs.list[i]);
	}
	if (all)
		output_json(json_incref(all));
	return status;
}
