/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stand-in for roostd in tests: does to the node state what a line on stdin says and answers each
 * with a line, "ok ..." or "error ...". Between lines it serves the agent's socket with what it was
 * told to answer, and deletes marked links when told to reap. It lives until stdin ends.
 *
 *	pool CIDR LEN COOLDOWN yes|no   to the mirror in hand (yes: it assigns)
 *	reserved CIDR, mtu4 N, mtu6 N   likewise
 *	clear                           an empty copy in hand
 *	put                             node_put_mirror()
 *	add|drain|cool|drop|disown CIDR blocks; cool drains without waiting for cooling addresses
 *	free ipv4|ipv6                  ok FREE COOLING
 *	tunnel ipv4|ipv6                ok ADDRESS
 *	lock, unlock                    the agent's lock
 *	reap yes|no
 *	answer CIDR                     the next request of that family gets this block
 *	refuse TEXT                     requests without a block in hand get this; nothing: silence
 *	namespace NAME ANNOTATIONS      (JSON) the only namespace that says something; put at once
 *	policy OBJECT                   (JSON: closed, staged) node_put_policy()
 *	requests                        ok and every request so far
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "ipam/agent_lock.h"
#include "ipam/node_cluster.h"
#include "ipam/node_namespaces.h"
#include "ipam/node_policy.h"
#include "ipam/session.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/owned.h"
#include "lib/text.h"

#define REAP_MS 20
#define ANSWERS 8

struct standin {
	const char *dir;
	struct mirror copy;
	struct net *net;
	int server, lock;
	bool reaps;
	struct cidr answers[ANSWERS];
	size_t n_answers;
	char refusal[200];
	char requests[4096];
};

static int with_node(
	struct standin *s, const char *verb, const struct cidr *block, char out[256], struct err *e)
{
	struct node *n = NULL;
	int r = node_open(&n, s->dir, NODE_SHARED, e);
	if (r >= 0)
		r = session_adopt(n, &s->net, e);
	struct addr a;
	uint64_t now_free = 0, cooling = 0;
	if (r < 0)
		;
	else if (strcmp(verb, "put") == 0)
		r = node_put_mirror(n, &s->copy, e);
	else if (strcmp(verb, "add") == 0)
		r = node_add_block(n, block, e);
	else if (strcmp(verb, "drain") == 0 || strcmp(verb, "cool") == 0)
		r = node_drain_block(n, block, *verb == 'c', e);
	else if (strcmp(verb, "drop") == 0)
		r = node_drop_block(n, block, e);
	else if (strcmp(verb, "disown") == 0)
		r = node_disown_block(n, block, e);
	else if (strcmp(verb, "free") == 0)
		r = node_count_free(n, block->addr.family, &now_free, &cooling, e);
	else if (strcmp(verb, "tunnel") == 0)
		r = node_assign_tunnel(n, "vxlan", block->addr.family, &a, e);
	node_close(n);
	(void)snprintf(out, 256, "%d", r);
	if (r == 0 && strcmp(verb, "free") == 0)
		(void)snprintf(out, 256, "%llu %llu", (unsigned long long)now_free,
			(unsigned long long)cooling);
	if (r == 0 && strcmp(verb, "tunnel") == 0)
		addr_format(&a, out);
	return r;
}

static int add_pool(struct standin *s, char *words, struct err *e)
{
	char *save = NULL;
	const char *word[4];
	for (size_t i = 0; i < 4; i++) {
		word[i] = strtok_r(i == 0 ? words : NULL, " ", &save);
		if (!word[i])
			return err_set(e, EINVAL, "pool CIDR LEN COOLDOWN yes|no");
	}
	struct mirror_pool *p = &s->copy.pools[s->copy.n_pools];
	p->pool = (struct pool){
		.block_len = (uint8_t)strtoul(word[1], NULL, 10),
		.cooldown_s = (uint32_t)strtoul(word[2], NULL, 10),
	};
	p->assigns = strcmp(word[3], "yes") == 0;
	(void)snprintf(p->name, sizeof(p->name), "pool-%zu", s->copy.n_pools++);
	return cidr_parse(word[0], &p->pool.cidr, e);
}

static void clear(struct standin *s, const char *socket_path)
{
	s->copy = (struct mirror){.node = "node-a"};
	(void)text_copy(s->copy.socket, sizeof(s->copy.socket), socket_path);
}

/* A verb that changes what is in hand: 1 when it was one. */
static int take_setting(struct standin *s, const char *verb, char *rest, struct err *e)
{
	if (strcmp(verb, "pool") == 0)
		return add_pool(s, rest, e) < 0 ? -EINVAL : 1;
	if (strcmp(verb, "reserved") == 0)
		return cidr_parse(rest, &s->copy.reserved[s->copy.n_reserved++], e) < 0 ? -EINVAL
											: 1;
	if (strcmp(verb, "answer") == 0 && s->n_answers < ANSWERS)
		return cidr_parse(rest, &s->answers[s->n_answers++], e) < 0 ? -EINVAL : 1;
	if (strcmp(verb, "mtu4") == 0)
		s->copy.mtu[IPV4] = (uint32_t)strtoul(rest, NULL, 10);
	else if (strcmp(verb, "mtu6") == 0)
		s->copy.mtu[IPV6] = (uint32_t)strtoul(rest, NULL, 10);
	else if (strcmp(verb, "clear") == 0)
		clear(s, ((struct mirror)s->copy).socket);
	else if (strcmp(verb, "reap") == 0)
		s->reaps = strcmp(rest, "yes") == 0;
	else if (strcmp(verb, "refuse") == 0)
		(void)text_copy(s->refusal, sizeof(s->refusal), rest);
	else
		return 0;
	return 1;
}

static int put_namespace(struct standin *s, char *words, struct err *e)
{
	struct node_namespace space = {0};
	struct node *n = NULL;
	CLEANUP_JSON json_t *annotations = NULL;
	char *text = strchr(words, ' ');
	if (!text)
		return err_set(e, EINVAL, "namespace NAME ANNOTATIONS");
	*text++ = '\0';
	(void)text_copy(space.name, sizeof(space.name), words);
	int r = json_parse(text, strlen(text), &annotations, e);
	if (r >= 0)
		r = node_open(&n, s->dir, NODE_SHARED, e);
	cni_args_of_namespace(annotations, space.annotations);
	if (r >= 0)
		r = node_put_namespaces(n, &space, !node_namespace_is_silent(&space), e);
	node_close(n);
	return r < 0 ? r : 0;
}

#define POLICIES 8

static void copy_member(const json_t *object, const char *key, char *out, size_t size)
{
	const char *text = json_string_value(json_object_get(object, key));
	(void)text_copy(out, size, text ? text : "");
}

static int put_policy(struct standin *s, const char *text, struct err *e)
{
	struct node_closed closed[POLICIES] = {0};
	struct node_staged staged[POLICIES] = {0};
	struct node_policy p = {.closed = closed, .staged = staged};
	struct node *n = NULL;
	CLEANUP_JSON json_t *object = NULL;
	size_t i;
	json_t *one;
	int r = json_parse(text, strlen(text), &object, e);
	json_array_foreach (json_object_get(object, "closed"), i, one) {
		struct node_closed *c = &closed[p.n_closed++];
		copy_member(one, "namespace", c->namespace, sizeof(c->namespace));
		c->ingress = json_is_true(json_object_get(one, "ingress"));
		c->egress = json_is_true(json_object_get(one, "egress"));
		c->to_host = json_is_true(json_object_get(one, "toHost"));
	}
	json_array_foreach (json_object_get(object, "staged"), i, one) {
		struct node_staged *x = &staged[p.n_staged++];
		copy_member(one, "uid", x->uid, sizeof(x->uid));
		copy_member(one, "ingress", x->ingress, sizeof(x->ingress));
		copy_member(one, "egress", x->egress, sizeof(x->egress));
	}
	if (r >= 0)
		r = node_open(&n, s->dir, NODE_SHARED, e);
	if (r >= 0)
		r = session_adopt(n, &s->net, e);
	if (r >= 0)
		r = node_put_policy(n, &p, e);
	node_close(n);
	return r < 0 ? r : 0;
}

static int take_line(struct standin *s, char *line, char out[4096], struct err *e)
{
	char none[] = "";
	char *rest = strchr(line, ' ');
	if (rest)
		*rest++ = '\0';
	else
		rest = none;
	(void)snprintf(out, 4096, "%s", "");
	int r = take_setting(s, line, rest, e);
	if (r != 0)
		return r < 0 ? r : 0;
	if (strcmp(line, "requests") == 0) {
		(void)snprintf(out, 4096, "%s", s->requests);
		return 0;
	}
	if (strcmp(line, "namespace") == 0)
		return put_namespace(s, rest, e);
	if (strcmp(line, "policy") == 0)
		return put_policy(s, rest, e);
	if (strcmp(line, "unlock") == 0) {
		(void)close(s->lock);
		s->lock = -1;
		return 0;
	}
	if (strcmp(line, "lock") == 0) {
		s->lock = agent_lock_take(s->dir, e);
		return s->lock;
	}
	struct cidr block = {.addr.family = strcmp(rest, "ipv6") == 0 ? AF_INET6 : AF_INET};
	if (*rest && strncmp(rest, "ipv", 3) != 0 && cidr_parse(rest, &block, e) < 0)
		return -EINVAL;
	return with_node(s, line, &block, out, e);
}

/* The last block in hand of that family. */
static bool take_answer(struct standin *s, uint8_t family, struct cidr *out)
{
	for (size_t i = s->n_answers; i-- > 0;) {
		if (s->answers[i].addr.family != family)
			continue;
		*out = s->answers[i];
		s->answers[i] = s->answers[--s->n_answers];
		return true;
	}
	return false;
}

static void answer(struct standin *s, int client)
{
	char line[2048];
	ssize_t len = read(client, line, sizeof(line) - 1);
	if (len <= 0)
		return;
	line[len] = '\0';
	line[strcspn(line, "\n")] = '\0';
	struct text log = {
		.buf = s->requests, .size = sizeof(s->requests), .len = strlen(s->requests)};
	text_add(&log, "%s%s", log.len ? ";" : "", line);
	char text[600] = "{\"ok\":true}\n";
	char ignored[256];
	struct err e;
	int r = 0;
	struct cidr block;
	if (take_answer(s, strstr(line, "\"ipv6\"") ? AF_INET6 : AF_INET, &block))
		r = with_node(s, "add", &block, ignored, &e);
	else if (!*s->refusal)
		return; /* a stopped agent: the connection stays, no answer comes */
	else
		r = err_set(&e, EAGAIN, "%s", s->refusal);
	if (r < 0)
		(void)snprintf(text, sizeof(text),
			"{\"error\":\"%s\",\"details\":\"\",\"errno\":\"EAGAIN\"}\n", e.text);
	(void)!write(client, text, strlen(text));
	(void)close(client);
}

static int serve(const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	(void)text_copy(a.sun_path, sizeof(a.sun_path), path);
	(void)unlink(path);
	if (fd < 0 || bind(fd, (const void *)&a, sizeof(a)) < 0 || listen(fd, 16) < 0)
		return -errno;
	return fd;
}

static void work(struct standin *s)
{
	struct pollfd fds[2] = {
		{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = s->server, .events = POLLIN}};
	char line[4096], out[4096];
	struct err e;
	for (;;) {
		(void)poll(fds, 2, REAP_MS);
		if (s->reaps && owned_sweep(s->net, &e) < 0)
			(void)fprintf(stderr, "%s\n", e.text);
		if (fds[1].revents & POLLIN)
			answer(s, accept4(s->server, NULL, NULL, SOCK_CLOEXEC));
		if (!(fds[0].revents & (POLLIN | POLLHUP)))
			continue;
		if (!fgets(line, sizeof(line), stdin))
			return;
		line[strcspn(line, "\n")] = '\0';
		if (take_line(s, line, out, &e) < 0)
			(void)printf("error %s\n", e.text);
		else
			(void)printf("ok %s\n", out);
		(void)fflush(stdout);
	}
}

int main(int argc, char **argv)
{
	static struct standin s = {.lock = -1};
	struct err e;
	if (argc != 3)
		return 2;
	(void)setvbuf(stdin, NULL, _IONBF, 0); /* poll() sees what is not read yet */
	s.dir = argv[1];
	clear(&s, argv[2]);
	s.server = serve(argv[2]);
	if (s.server < 0 || net_open(&s.net, &e) < 0)
		return 1;
	work(&s);
	net_close(s.net);
	return 0;
}
