/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Policies as texts for people, and trails as documents for programs.
 */
#include <jansson.h>
#include <stddef.h>

#include "lib/text.h"
#include "policy/judge.h"

/* A line on stdout, clean, behind so many blanks. */
void say_line(unsigned int indent, const char *text);

/* "allow TCP 80, 8080-8090 from pods app == \"web\" of its namespace". */
void say_rule(struct text *t, const struct policy_rule *r, enum policy_direction d);

/* "pods app == \"web\" of namespace a": whom it selects. */
void say_selection(struct text *t, const struct policy *p);

/* The steps as a list of {kind, policy, rule, staged, text}; policy and rule where there are some. */
json_t *say_trail(const struct policy_trail *t);
