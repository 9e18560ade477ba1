/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What others ask at the agent's socket, and who of them waits for a block.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/block_plan.h"

enum { AGENT_WAITERS = 64 };
/* An ADD that waits for a block. */
struct agent_waiter {
	uint64_t id; /* of the server's request */
	struct block_plan_ask ask;
	struct cidr *pools; /* of the ask; heap */
	int64_t since_ms, until_ms;
	bool seen;			 /* a reconciliation has been since */
	struct block_plan_answer answer; /* of the last one */
};

struct agent;
void handle_request(struct agent *a, uint64_t id, const json_t *request);

/* A waiter is answered after the reconciliation that saw it. */
void answer_waiters(struct agent *a);
