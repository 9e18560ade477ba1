/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The inside of the probe (docs/PROBE.md), shared by the sources of this folder alone: one process, one wait,
 * one event at a time. What waits for something is a watch in it or a moment in time;
 * nothing blocks but a CNI plugin while it runs, which has a deadline.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/config.h"
#include "cli/line.h"
#include "cli/probe/attach.h"
#include "cli/probe/loop.h"
#include "cli/probe/message.h"
#include "lib/addr.h"
#include "lib/err.h"
#include "lib/ns.h"
#include "lib/text.h"
#include "lib/wait.h"

#define PROBE_NAME 33 /* of a pod: a CNI name of at most 32 bytes */
#define PROBE_PORT 7007
#define PROBE_LIFETIME_S 600
#define PROBE_TRIES_MAX 10

/* The servers of a place, and what they heard. */
struct probe_heard {
	char nonce[PROBE_NONCE];
	struct addr source; /* of the last one */
	uint64_t count;
};
#define PROBE_HEARD 1024
#define PROBE_SOCKETS 4
struct probe_server {
	bool open;
	struct probe_watch sockets[PROBE_SOCKETS]; /* UDP, TCP, both of IPv4 and IPv6 */
	uint16_t udp, tcp;			   /* ports */
	struct probe_heard *heard;		   /* PROBE_HEARD of them, the oldest is replaced */
	size_t next;
};

struct probe_pod {
	struct probe_pod *next;
	char name[PROBE_NAME];
	struct ns ns;
	struct probe_attach attach;
	struct probe_server server;
};

struct probe {
	const struct options *options;
	struct config_dirs dirs; /* of node states; the journal is in the first one */
	char id[64];		 /* "roost-probe-BOOT-PID-START": of this process and no other */
	struct wait wait;
	struct probe_watch in, out, signals;
	bool in_ended, out_waits;
	bool in_paused, in_hung_up;
	bool in_always;	 /* input is a file, which is never waited for */
	uint64_t end_ns; /* --lifetime */
	bool ending;
	int64_t end_id; /* of the request "end", else -1 */
	struct line line;
	struct text answers; /* what is not yet written */

	struct probe_pod *pods;
	size_t n_pods;
	struct probe_server server; /* of the node's own namespace */
	struct probe_conn *conns;   /* of all servers */
	size_t n_conns;
	struct probe_try *tries;
	size_t n_tries;
	struct probe_capture *captures;
	struct probe_journal *journal; /* NULL until it is needed */
	bool cleaned;
};

/* What is absent has its default: "", 0, NULL, no address. Texts and arrays are the document's. */
struct probe_request {
	json_int_t id;
	json_t *answer; /* to be filled in */
	const char *name, *conf_dir, *network, *place, *capture, *what, *kind, *nonce;
	const json_t *cni_path, *port_mappings; /* the latter judged */
	struct addr to, source, peer;
	uint32_t mtu, size, timeout_ms, tries;
	uint16_t port;
	bool df, has_df;
};
/* An operation. 0, an error, or 1: the answer comes later, by probe_answer(). */
typedef int probe_op(struct probe *p, const struct probe_request *call, struct err *e);
probe_op probe_facts, probe_pod_add, probe_pod_del, probe_pod_mtu, probe_serve, probe_try_start,
	probe_received, probe_capture_start, probe_captured;

/* Runs the op that a request names, all but "end". 0, an error, or 1: the answer comes later. */
int probe_request_run(
	struct probe *p, json_int_t id, const char *op, const json_t *doc, struct err *e);

/* A place: a pod of ours, or NULL for "" (the node). -ENOENT. */
int probe_place(const struct probe *p, const char *name, struct probe_pod **out, struct err *e);
struct probe_pod *probe_place_find(const struct probe *p, const char *name); /* or NULL */

/* Runs CNI DEL for all pods. */
int probe_pods_end(struct probe *p, struct err *e);

/* Opens the servers of a namespace (NULL: the node's) on PROBE_PORT, or on any port. */
int probe_server_open(
	struct probe *p, struct probe_server *s, const struct ns *ns, uint16_t port, struct err *e);
void probe_server_close(struct probe *p, struct probe_server *s);

/* The earliest moment at which something is due (UINT64_MAX: nothing), and doing it. */
uint64_t probe_try_next(const struct probe *p);
void probe_try_tick(struct probe *p, uint64_t now_ns);
uint64_t probe_server_next(const struct probe *p);
void probe_server_tick(struct probe *p, uint64_t now_ns);

void probe_try_stop(struct probe *p, const struct probe_pod *from); /* the pod goes away */
void probe_tries_done(struct probe *p);
void probe_captures_done(struct probe *p);
