/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Values as tests write them: texts become addresses, prefixes and documents, and one that is none
 * fails the test.
 */
#include "tests/unit/check.h"

#include "lib/addr.h"
#include "lib/json.h"

static inline struct addr addr(const char *text)
{
	struct addr a;
	struct err e;
	ok(addr_parse(text, &a, &e));
	return a;
}

static inline struct cidr cidr(const char *text)
{
	struct cidr c;
	struct err e;
	ok(cidr_parse(text, &c, &e));
	return c;
}

static inline json_t *json_of(const char *text)
{
	json_t *doc = NULL;
	struct err e;
	if (json_parse(text, strlen(text), &doc, &e) < 0)
		fail_msg("%s: %s", text, e.text);
	return doc;
}
