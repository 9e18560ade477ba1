/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Values as tests write them: texts become addresses and prefixes, and one that is none fails the test.
 */
#include "tests/unit/check.h"

#include "lib/addr.h"

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
