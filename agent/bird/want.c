/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names and times of sessions: the text that BIRD gets has them, and whoever reads BIRD's answers needs
 * them again.
 */
#include "agent/bird/want.h"

#include <stdio.h>

#define BGP_PORT 179
#define KEEPALIVE_MAX_S (65535 / 3) /* the hold time has 16 bits */

char *bird_addr_name(const struct addr *a, char out[ADDR_TEXT])
{
	addr_format(a, out);
	for (char *c = out; *c; c++)
		if (*c == '.' || *c == ':')
			*c = '_';
	return out;
}

uint16_t bird_peer_port(const struct bird_peer *p)
{
	return p->port ? p->port : BGP_PORT;
}

char *bird_peer_name(const struct bird_peer *p, char out[BIRD_PEER_NAME])
{
	char addr[ADDR_TEXT];
	char port[16] = "";
	if (!p->mesh && bird_peer_port(p) != BGP_PORT)
		(void)snprintf(port, sizeof(port), "_port_%u", bird_peer_port(p));
	(void)snprintf(out, BIRD_PEER_NAME, "roost_%s%s%s", p->mesh ? "" : "peer_",
		bird_addr_name(&p->addr, addr), port);
	return out;
}

char *bird_exit_name(const struct bird_exit_peer *p, char out[BIRD_PEER_NAME])
{
	char addr[ADDR_TEXT];
	(void)snprintf(out, BIRD_PEER_NAME, "roost_exit_%s", bird_addr_name(&p->addr, addr));
	return out;
}

uint16_t bird_listen_port(const struct bird_want *w)
{
	return w->listen_port ? w->listen_port : BGP_PORT;
}

unsigned int bird_peer_keepalive_s(const struct bird_peer *p)
{
	if (p->keepalive_s)
		return p->keepalive_s < KEEPALIVE_MAX_S ? p->keepalive_s : KEEPALIVE_MAX_S;
	return p->mesh ? BIRD_MESH_KEEPALIVE_S : BIRD_OUT_KEEPALIVE_S;
}
