/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The paths are looked up when somebody asks, since BIRD changes them without us.
 */
#include "agent/report_exits.h"

#include <string.h>

#include "lib/text.h"

void report_exits_note(struct report_exits *x, const struct desired *d)
{
	const size_t room = sizeof(x->own) / sizeof(x->own[0]);
	const struct bird_exits *b = &d->bird.exits;
	x->n_own = b->n_own < room ? b->n_own : room;
	if (x->n_own)
		memcpy(x->own, b->own, x->n_own * sizeof(*x->own));
	x->used = b->used[0] || b->used[1];
	x->table = b->table;
}

static size_t look(
	const struct report_exits *x, struct kernel *k, struct exits_route out[EXITS_ROUTES])
{
	size_t n = 0;
	struct err ignored; /* the pass says what is wrong with the kernel */
	if (!x->used || kernel_exits(k, x->table, out, &n, &ignored) < 0)
		return 0;
	return n;
}

json_t *report_exits_json(const struct report_exits *x, struct kernel *k)
{
	struct exits_route routes[EXITS_ROUTES];
	size_t n = look(x, k, routes);
	json_t *to = json_array();
	json_t *used = json_array();
	for (size_t i = 0; i < x->n_own; i++) {
		char text[CIDR_TEXT];
		cidr_format(&x->own[i], text);
		(void)json_array_append_new(to, json_string(text));
	}
	for (size_t i = 0; i < n; i++) {
		char text[CIDR_TEXT];
		cidr_format(&routes[i].dst, text);
		(void)json_array_append_new(
			used, json_pack("{s:s, s:i}", "cidr", text, "paths", (int)routes[i].paths));
	}
	return json_pack("{s:o, s:b, s:o}", "isExitTo", to, "used", x->used, "routes", used);
}

void report_exits_text(const struct report_exits *x, struct kernel *k, char *out, size_t size)
{
	struct exits_route routes[EXITS_ROUTES];
	struct text t = {.buf = out, .size = size};
	char text[CIDR_TEXT];
	*out = '\0';
	for (size_t i = 0; i < x->n_own; i++) {
		cidr_format(&x->own[i], text);
		text_add(&t, "%s%s", i ? ", " : "is an exit to ", text);
	}
	if (!x->used)
		return;
	size_t n = look(x, k, routes);
	if (n == 0)
		text_add(&t, "%sno exit is left", t.len ? "; " : "");
	for (size_t i = 0; i < n; i++) {
		cidr_format(&routes[i].dst, text);
		text_add(&t, "%s%s ", t.len ? ", " : "", text);
		if (routes[i].paths)
			text_add(&t, "by %u path%s", routes[i].paths,
				routes[i].paths == 1 ? "" : "s");
		else
			text_add(&t, "unreachable");
	}
}
