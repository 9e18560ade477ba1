/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target: a line on the agent's socket. What is let through is an object with a text "op", so
 * that the agent compares it without looking again; a refusal has a sentence.
 */
#include "tests/fuzz/fuzz.h"

#include <errno.h>

#include "agent/server.h"
#include "lib/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP_JSON json_t *request = NULL;
	struct err e = {0};
	int r = server_parse((const char *)data, size, &request, &e);
	CHECK(r == 0 || ((r == -EBADMSG || r == -EINVAL) && *e.text && !request));
	CHECK(r < 0 || json_is_string(json_object_get(request, "op")));
	return 0;
}
