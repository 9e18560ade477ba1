/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Asking the node agent: one JSON document in one line to its unix socket, one line back. Used by
 * ADD when it needs a block and by roostctl. docs/AGENT.md has the requests.
 */
#include <jansson.h>

#include "lib/err.h"

#define ASK_MAX_BYTES 1048576 /* of an answer */

/* Sends request (borrowed) and waits for the answer (*answer is the caller's). An answer that is
 * an error document comes back as that error, with its details: its "errno" is one of EAGAIN,
 * EINVAL, EBUSY, ENOENT, EACCES, else -EPROTO. -ECONNREFUSED: nobody listens; -ETIMEDOUT. */
int ask(const char *socket_path, const json_t *request, unsigned int timeout_ms, json_t **answer,
	struct err *e);

/* The document that comes back as that error (errno of either sign). The caller's. */
json_t *ask_error_document(int error, const struct err *e);
