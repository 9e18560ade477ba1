/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Host ports: "what arrives at this port of the host is the pod's", as CNI's capability portMappings says
 * it (CONVENTIONS.md). Values and their text; lib/hostport.h puts them into the kernel.
 */
#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/addr.h"
#include "lib/err.h"
#include "lib/hash.h"

#define PORTS_OF_POD 256 /* of one pod */

struct port {
	uint8_t proto;	    /* IPPROTO_TCP, _UDP, _SCTP */
	uint16_t host, pod; /* 1 to 65535 */
	/* Of the host, the only one that leads to the pod. All zeros: any of its family; family 0: any. */
	struct addr at;
};

/* Reads runtimeConfig.portMappings (keys in any case; NULL and null: none). An entry without a host port asks
 * for nothing. *out is a heap array, the caller's, NULL when there are none. -EBADMSG: wrong types; -EINVAL
 * names entry and value. */
int ports_read(const json_t *mappings, struct port **out, size_t *n, struct err *e);

/* Whether it is for pod addresses of the family. */
bool port_is_of(const struct port *p, uint8_t family);
/* Whether any address of the host leads to the pod. */
bool port_is_any(const struct port *p);
/* Whether the loopback address of a family is among the addresses that lead to the pod. */
bool port_is_local(const struct port *p, uint8_t family);

/* Ports of many owners, those of one behind each other. */
struct ports_list { /* zeroed: none */
	struct hash *owners;
	struct port *v;
	size_t n, room_owners, room;
};
void ports_list_add(struct ports_list *l, const struct hash *owner, const struct port *p);
void ports_list_done(struct ports_list *l);
/* Those of one owner, in the list; NULL and 0. */
const struct port *ports_list_of(const struct ports_list *l, const struct hash *owner, size_t *n);

bool port_equal(const struct port *a, const struct port *b);

/* "8080/tcp", "[fd00::1]:8080/udp" */
#define PORT_TEXT 72
const char *port_format(const struct port *p, char out[PORT_TEXT]);
#define PORT_STRING(p) port_format((p), (char[PORT_TEXT]){0})
