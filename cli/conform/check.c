/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list of checks. What a check says is put together from names that were cleaned and values
 * that were parsed.
 */
#include "cli/conform/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/json.h"
#include "lib/mem.h"

void conform_checks_done(struct conform_checks *c)
{
	free(c->list);
	*c = (struct conform_checks){0};
}

struct conform_check *conform_checks_add(
	struct conform_checks *c, enum conform_kind kind, const char *group, int family)
{
	c->list = mem_grow(c->list, &c->room, c->n, sizeof(*c->list));
	c->list[c->n] = (struct conform_check){.kind = kind, .group = group, .family = family};
	return &c->list[c->n++];
}

void conform_check_set(struct conform_check *c, enum conform_verdict v, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	(void)vsnprintf(c->saw, sizeof(c->saw), fmt, ap);
	va_end(ap);
	c->verdict = v;
}

struct conform_summary conform_checks_sum(const struct conform_checks *c)
{
	struct conform_summary s = {.checks = c->n};
	for (size_t i = 0; i < c->n; i++) {
		s.ok += c->list[i].verdict == CONFORM_OK;
		s.failed += c->list[i].verdict == CONFORM_FAILED;
		s.skipped += c->list[i].verdict == CONFORM_SKIPPED;
		s.open += c->list[i].verdict == CONFORM_OPEN;
	}
	return s;
}

json_t *conform_try_request(const struct conform_try *t, int tries, int timeout_ms)
{
	json_t *o = json_object();
	json_put(o, "op", json_string("try"));
	json_put(o, "from", json_string(CONFORM_POD_NAME(t->from_pod)));
	json_put(o, "kind", json_string(t->type));
	json_put(o, "to", json_string(ADDR_STRING(&t->target)));
	if (t->port)
		json_put(o, "port", json_integer(t->port));
	if (t->size)
		json_put(o, "size", json_integer(t->size));
	if (t->df)
		json_put(o, "df", json_true());
	if (*t->nonce)
		json_put(o, "nonce", json_string(t->nonce));
	json_put(o, "tries", json_integer(tries));
	json_put(o, "timeoutMs", json_integer(timeout_ms));
	return o;
}
