/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The listing of a packet filter that anybody may have written into the kernel: no document may crash
 * the judgement or keep it busy, and the sentence always fits and shows nothing unprintable.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/filter/firewall.h"
#include "lib/json.h"
#include "lib/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const json_t *doc, const char *pool)
{
	struct cidr c;
	struct err e;
	char out[256];
	memset(out, 'x', sizeof(out));
	if (cidr_parse(pool, &c, &e) < 0)
		abort();
	if (firewall_check(doc, &c, 1, out) == 0)
		return;
	size_t len = strnlen(out, sizeof(out));
	if (len == sizeof(out))
		abort();
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)out[i] < ' ' || out[i] == 127)
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP_JSON json_t *doc = NULL;
	struct err e;
	if (firewall_parse((const char *)data, size, &doc, &e) < 0)
		return 0;
	struct firewall_table *tables = NULL;
	size_t n = 0;
	firewall_tables(doc, &tables, &n);
	for (size_t i = 0; i < n; i++)
		if (strpbrk(tables[i].name, " ;\n{}\"'"))
			abort();
	free(tables);
	check(doc, "10.66.0.0/16");
	check(doc, "fd66::/48");
	return 0;
}
