/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: the file of last known blocks. What is let through is written again and read to the
 * same value.
 */
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <string.h>

#include "agent/lastknown.h"
#include "lib/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct lastknown l, back;
	struct err e = {0};
	int r = lastknown_parse((const char *)data, size, &l, &e);
	if (r < 0) {
		CHECK((r == -EBADMSG || r == -EPROTONOSUPPORT) && *e.text);
		return 0;
	}
	CHECK(status_is_id(l.installation) && l.mirror.n_pools <= POOL_MAX);
	CLEANUP_FREE char *text = lastknown_format(&l);
	if (strlen(text) <= 1048576) {
		CHECK(lastknown_parse(text, strlen(text), &back, &e) == 0);
		CLEANUP_FREE char *again = lastknown_format(&back);
		CHECK(strcmp(text, again) == 0);
		lastknown_done(&back);
	}
	lastknown_done(&l);
	return 0;
}
