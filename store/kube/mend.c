/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One pass. A number keeps its length as an exponent takes zeros in front: 100000000000000000000 becomes
 * 1e0000000000000000020. What is too deep is filled with blanks.
 */
#include "store/kube/mend.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "lib/json.h"

#define LONGEST 19	  /* digits of a number that may be of 64 bits */
#define EXPONENT_MAX 308U /* of a double */
static const char largest[] = "9223372036854775807";

struct mending {
	char *bytes;
	size_t len, i;
	size_t depth, deep_from;
};

/* Behind a backslash. */
static void mend_escape(struct mending *m)
{
	char *s = m->bytes + m->i;
	if (m->len - m->i >= 5 && memcmp(s, "u0000", 5) == 0)
		memcpy(s, "ufffd", 5);
}

static void mend_text(struct mending *m)
{
	for (m->i++; m->i < m->len && m->bytes[m->i] != '"'; m->i++) {
		if (m->bytes[m->i] != '\\')
			continue;
		m->i++;
		mend_escape(m);
	}
}

static void mend_digits(char *s, size_t n)
{
	char exponent[8];
	size_t e = n - 1 < EXPONENT_MAX ? n - 1 : EXPONENT_MAX;
	if (n < LONGEST || (n == LONGEST && memcmp(s, largest, n) <= 0))
		return;
	int width = snprintf(exponent, sizeof(exponent), "%zu", e);
	s[1] = 'e';
	memset(s + 2, '0', n - 2);
	memcpy(s + n - width, exponent, (size_t)width);
}

static void mend_number(struct mending *m)
{
	size_t from = m->i + (m->bytes[m->i] == '-'), digits = from;
	while (digits < m->len && m->bytes[digits] >= '0' && m->bytes[digits] <= '9')
		digits++;
	bool whole = digits == m->len || !strchr(".eE", m->bytes[digits]);
	if (whole)
		mend_digits(m->bytes + from, digits - from);
	for (m->i = digits;
		m->i < m->len && m->bytes[m->i] && strchr("+-.eE0123456789", m->bytes[m->i]);)
		m->i++;
	m->i--; /* the caller's step */
}

static void mend_close(struct mending *m)
{
	if (m->depth == JSON_MAX_NESTING + 1) {
		memset(m->bytes + m->deep_from, ' ', m->i + 1 - m->deep_from);
		m->bytes[m->deep_from] = '0';
	}
	m->depth -= m->depth > 0;
}

void kube_mend(char *bytes, size_t len)
{
	struct mending m = {.bytes = bytes, .len = len};
	for (; m.i < len; m.i++) {
		char c = bytes[m.i];
		if (c == '"') {
			mend_text(&m);
		} else if (c == '[' || c == '{') {
			if (++m.depth == JSON_MAX_NESTING + 1)
				m.deep_from = m.i;
		} else if (c == ']' || c == '}') {
			mend_close(&m);
		} else if (c == '-' || (c >= '0' && c <= '9')) {
			mend_number(&m);
		}
	}
}
