/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * One attempt to reach somebody, shared by try*.c of this folder alone: try.c reads requests and
 * watches the time, the kinds send and receive.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/probe/probe_impl.h"
#include "cli/probe/message.h"
#include "lib/addr.h"
#include "lib/err.h"

struct probe_try;
struct probe_try_kind {
	const char *name;
	bool resends; /* else the kernel does */
	bool has_port;
	/* Opens the socket. send: once more; errors are noted. receive: whatever is there. */
	int (*open)(struct probe_try *t, const struct ns *ns, struct err *e);
	void (*send)(struct probe_try *t);
	void (*receive)(struct probe_try *t);
	uint32_t events; /* to begin with */
};
extern const struct probe_try_kind probe_try_icmp, probe_try_udp, probe_try_tcp;

struct probe_try {
	struct probe_try *next;
	struct probe *probe;
	struct probe_watch watch;
	const struct probe_pod *from;
	json_int_t id;
	const struct probe_try_kind *kind;
	struct addr to, source; /* source: to pretend; family 0: none */
	uint16_t port;
	size_t size; /* of the IP packet; of TCP: of the text */
	bool has_df, df;
	int tries, sent;
	uint64_t interval_ns, next_ns, end_ns;
	uint64_t sent_ns[PROBE_TRIES_MAX];
	char nonce[PROBE_NONCE];
	uint16_t echo_id;
	char *text; /* TCP: what is sent, then what came; owned */
	size_t text_len, text_done;
	bool connected;

	bool done; /* nothing more will come of it */
	bool answered;
	uint64_t rtt_ns;
	struct addr seen; /* the address that the other end saw */
	int error;	  /* the last errno; 0 none */
	uint32_t path_mtu, mss;
	struct addr icmp_from;
};

/* It was answered: to the sending of that number. */
void probe_try_answered(struct probe_try *t, uint32_t seq, const struct addr *seen);

/* Something went wrong; mtu and from may be 0 and NULL. Some errors are final. */
void probe_try_failed(struct probe_try *t, int error, uint32_t mtu, const struct addr *from);
