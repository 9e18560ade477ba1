/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first bytes of a packet that a pod sent, as they are told of: no bytes may crash the reader or make it read
 * behind them, and whatever it reads is a line of printable text.
 */
#include "tests/fuzz/fuzz.h"

#include <stddef.h>

#include "agent/policy/denied.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const nobody[2] = {"", ""};
	CLEANUP_TEXT struct text line = {0};
	struct policy_denied_packet p;
	if (!policy_denied_read(data, size, &p))
		return 0;
	policy_denied_describe(&p, nobody, "", &line);
	for (size_t i = 0; i < line.len; i++)
		if (line.buf[i] < ' ' || line.buf[i] > '~')
			abort();
	return 0;
}
