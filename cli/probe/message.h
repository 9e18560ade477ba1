/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What probes say to each other's servers (docs/PROBE.md): a JSON text, padded with blanks to the size
 * that is wanted; one datagram, or one line of TCP. Pure.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/addr.h"

#define PROBE_NONCE 65	      /* a name of at most 64 bytes */
#define PROBE_MESSAGE_MIN 192 /* bytes of a question: no answer is longer than its question */
#define PROBE_MESSAGE_MAX 65535

struct probe_message {
	bool is_answer;
	bool df; /* of a question: answer with DF set */
	uint32_t seq;
	char nonce[PROBE_NONCE];
	struct addr source; /* of an answer: whom the server saw */
};

/* Writes exactly len bytes, at least PROBE_MESSAGE_MIN. */
void probe_message_format(const struct probe_message *m, char *out, size_t len);

/* false: it is none of ours. */
bool probe_message_parse(const char *bytes, size_t len, struct probe_message *out);
