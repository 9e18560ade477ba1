/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BIRD's grammar, as far as it decides which of our words may stand in a text. One word that BIRD
 * cannot read would make it refuse the whole configuration, so what is doubtful is asked about here
 * and left out by the callers.
 */
#include "agent/bird/write.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "lib/poolroute.h"
#include "lib/text.h"

char *bird_write_prefix(const struct cidr *c, char out[CIDR_TEXT])
{
	const struct cidr masked = cidr_masked(&c->addr, c->len);
	return cidr_format(&masked, out);
}

const char *bird_write_debug(enum resource_log log)
{
	if (log == LOGS_DEBUG)
		return "\tdebug { states, routes, filters, events };\n";
	return log == LOGS_INFO ? "\tdebug { states };\n" : "";
}

/* The metric is behind the host's own routes. Never 0: BIRD would replace them. */
void bird_write_kernel_options(struct text *t)
{
	text_add(t, "\tlearn off;\n\tpersist on;\n\tscan time %d;\n\tmetric %d;\n", BIRD_SCAN_S,
		POOLROUTE_METRIC_BIRD);
	text_add(t, "\tmerge paths on limit 32;\n\tgraceful restart on;\n");
}

void bird_write_bgp_options(struct text *t, const struct bird_times *s)
{
	text_add(t, "\tmultihop;\n\tconnect delay time 1;\n\tconnect retry time %u;\n", s->retry);
	text_add(t, "\terror wait time 1, %u;\n\terror forget time 30;\n", s->error_max);
	text_add(t, "\thold time %u;\n\tkeepalive time %u;\n", 3 * s->keepalive, s->keepalive);
	text_add(t, "\tgraceful restart on;\n\tgraceful restart time %u;\n", s->restart);
	text_add(t, "\tlong lived graceful restart off;\n\tigp metric off;\n");
}

bool bird_write_is_quotable(const char *s)
{
	for (; *s; s++)
		if (*s == '"' || (unsigned char)*s < ' ' || *s == 0x7f)
			return false;
	return true;
}

/* Words of BIRD's own grammar that have a digit and no '_'. They are keywords between apostrophes,
 * too (BIRD 2.0.12), so that a device of this name cannot be named behind '%'. */
static bool is_keyword(const char *s)
{
	static const char *const words[] = {"as4", "blake2b256", "blake2b512", "blake2s128",
		"blake2s256", "cost2", "data1", "data2", "flow4", "flow6", "ipv4", "ipv6", "md5",
		"rfc1583compat", "rfc5838", "roa4", "roa6", "sha1", "sha256", "sha384", "sha512",
		"v1", "v2", "v3", "v4", "v6", "vpn4", "vpn6"};
	return TEXT_INDEX(s, words) >= 0;
}

/* A keyword is letters and '_', with few exceptions; how many there are depends on BIRD's version.
 * So a name is taken that has what they have not. */
bool bird_write_is_device(const char *s)
{
	bool digit = false;
	bool other = false;
	bool line = false;
	for (const char *c = s; *c; c++) {
		if (!isascii(*c) || (!isalnum((unsigned char)*c) && !strchr("_-.:", *c)))
			return false;
		digit |= isdigit((unsigned char)*c) != 0;
		other |= strchr("-.:", *c) != NULL;
		line |= *c == '_';
	}
	return isalpha((unsigned char)*s) && (other || (digit && !line && !is_keyword(s)));
}
