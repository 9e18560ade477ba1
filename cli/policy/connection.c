/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names become addresses here. A pod of the host's network is its node's address to everybody, and is judged as
 * that. The node has the address of nobody. A named port is looked up at the destination's pod, as a client would have to.
 */
#include "cli/policy/connection.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "lib/mem.h"
#include "lib/nearest.h"

/* Ends. */

static void set_pod(struct connection_end *out, const struct policy_pod *pod)
{
	out->pod = pod;
	for (size_t i = 0; i < pod->n_addrs; i++)
		out->addrs[out->n_addrs++] = pod->addrs[i];
}

/* The pod that somebody meant. */
static void add_meant(const struct policy_world *w, const char *name, struct err *e)
{
	struct nearest near = NEAREST_TO(name);
	size_t n;
	const struct policy_pod *const *pods = policy_world_pods(w, &n);
	char(*names)[POLICY_NAMESPACE + POLICY_NAME] = mem_new(n, sizeof(*names));
	for (size_t i = 0; i < n; i++) {
		struct text one = TEXT_ON(names[i]);
		text_add(&one, "%s/%s", pods[i]->namespace, pods[i]->name);
		nearest_offer(&near, names[i]);
	}
	nearest_add(&near, e);
	free(names);
}

static int parse_pod(
	const struct policy_world *w, const char *text, struct connection_end *out, struct err *e)
{
	char namespace[POLICY_NAMESPACE] = "default";
	const char *slash = strchr(text, '/');
	const char *name = slash ? slash + 1 : text;
	size_t len = slash ? (size_t)(slash - text) : 0;
	if (slash && (!len || len >= sizeof(namespace)))
		return err_set(
			e, EINVAL, "\"%.100s\" is neither NAMESPACE/POD nor an address", text);
	if (slash) {
		memcpy(namespace, text, len);
		namespace[len] = '\0';
	}
	const struct policy_pod *pod = policy_world_pod(w, namespace, name);
	if (!pod) {
		(void)err_set(e, ENOENT, "there is no pod %s/%.253s", namespace, name);
		add_meant(w, text, e);
		return -ENOENT;
	}
	if (!pod->n_addrs)
		return err_set(e, EINVAL, "pod %s/%s has no address yet", namespace, name);
	set_pod(out, pod);
	return 0;
}

static int parse_end(
	const struct policy_world *w, const char *text, struct connection_end *out, struct err *e)
{
	struct addr a;
	struct err ignored;
	*out = (struct connection_end){.is_node = strcmp(text, "node") == 0};
	if (out->is_node) {
		out->addrs[out->n_addrs++] = (struct addr){.family = AF_INET};
		out->addrs[out->n_addrs++] = (struct addr){.family = AF_INET6};
		return 0;
	}
	if (addr_parse(text, &a, &ignored) < 0)
		return parse_pod(w, text, out, e);
	out->pod = policy_world_owner(w, &a);
	out->addrs[out->n_addrs++] = a;
	return 0;
}

static const struct addr *end_address(const struct connection_end *e, uint8_t family)
{
	for (size_t i = 0; i < e->n_addrs; i++) {
		if (e->addrs[i].family == family)
			return &e->addrs[i];
	}
	return NULL;
}

void connection_say_end(const struct connection_end *e, const struct addr *a, struct text *t)
{
	if (e->is_node)
		text_add(t, "the node");
	else if (e->pod)
		text_add(t, "%s/%s (%s)", e->pod->namespace, e->pod->name, ADDR_STRING(a));
	else
		text_add(t, "%s", ADDR_STRING(a));
}

/* Ports. */

static bool parse_number(const char *s, size_t len, unsigned long max, unsigned long *out)
{
	*out = 0;
	for (size_t i = 0; i < len; i++) {
		if (s[i] < '0' || s[i] > '9' || *out > max)
			return false;
		*out = *out * 10 + (unsigned long)(s[i] - '0');
	}
	return len > 0 && *out <= max;
}

static int parse_proto(const char *s, uint8_t *out, struct err *e)
{
	if (strcasecmp(s, "tcp") == 0)
		*out = IPPROTO_TCP;
	else if (strcasecmp(s, "udp") == 0)
		*out = IPPROTO_UDP;
	else if (strcasecmp(s, "sctp") == 0)
		*out = IPPROTO_SCTP;
	else
		return err_set(e, EINVAL, "protocol \"%.40s\" is not TCP, UDP or SCTP", s);
	return 0;
}

static int parse_icmp(const char *text, struct policy_flow *out, struct err *e)
{
	unsigned long type = 8;
	if (text[4] && (text[4] != '/' || !parse_number(text + 5, strlen(text + 5), 255, &type)))
		return err_set(e, EINVAL, "\"%.40s\" is neither ICMP nor ICMP/TYPE", text);
	out->proto = IPPROTO_ICMP;
	out->icmp_type = text[4] ? (int16_t)type : -1; /* an echo request of either family */
	return 0;
}

static int find_named_port(const struct connection_end *to, const char *name, bool has_proto,
	struct policy_flow *out, struct err *e)
{
	const struct policy_pod *pod = to->pod;
	if (!pod)
		return err_set(e, EINVAL,
			"port \"%.40s\" is a name, and the destination is no pod that could have "
			"it",
			name);
	for (size_t i = 0; i < pod->n_ports; i++) {
		if (strcmp(pod->ports[i].name, name) != 0 ||
			(has_proto && pod->ports[i].proto != out->proto))
			continue;
		out->proto = pod->ports[i].proto;
		out->dport = pod->ports[i].first;
		return 0;
	}
	return err_set(e, ENOENT, "pod %s/%s has no port of the name \"%.40s\"", pod->namespace,
		pod->name, name);
}

static int parse_port(
	const struct connection_end *to, const char *text, struct policy_flow *out, struct err *e)
{
	const char *slash = strchr(text, '/');
	size_t len = slash ? (size_t)(slash - text) : strlen(text);
	unsigned long number = 0;
	char name[64];
	if (strncasecmp(text, "icmp", 4) == 0 && (!text[4] || text[4] == '/'))
		return parse_icmp(text, out, e);
	out->proto = IPPROTO_TCP;
	int r = slash ? parse_proto(slash + 1, &out->proto, e) : 0;
	if (r < 0)
		return r;
	if (parse_number(text, len, UINT16_MAX, &number) && number > 0) {
		out->dport = (uint16_t)number;
		return 0;
	}
	if (strspn(text, "0123456789") >= len || len >= sizeof(name))
		return err_set(e, EINVAL,
			"\"%.40s\" is no port: 1 to 65535, or a name, then /TCP, /UDP or /SCTP, or "
			"ICMP",
			text);
	memcpy(name, text, len);
	name[len] = '\0';
	return find_named_port(to, name, slash != NULL, out, e);
}

int connection_parse(const struct policy_world *w, const char *const ends[2], const char *port,
	struct connection *out, struct err *e)
{
	struct connection c = {0};
	struct policy_flow f = {.sport = 40000};
	int r = parse_end(w, ends[0], &c.from, e);
	if (r == 0)
		r = parse_end(w, ends[1], &c.to, e);
	if (r == 0)
		r = parse_port(&c.to, port, &f, e);
	if (r < 0)
		return r;
	f.from_node = c.from.is_node;
	f.to_node = c.to.is_node;
	for (enum family family = IPV4; family < FAMILIES; family++) {
		const struct addr *source = end_address(&c.from, family_af(family));
		const struct addr *destination = end_address(&c.to, family_af(family));
		if (!source || !destination)
			continue;
		struct policy_flow *flow = &c.flows[c.n_flows++];
		*flow = f;
		flow->source = *source;
		flow->destination = *destination;
		if (f.proto != IPPROTO_ICMP)
			continue;
		flow->proto = family == IPV4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
		if (f.icmp_type < 0)
			flow->icmp_type = family == IPV4 ? 8 : 128;
	}
	if (!c.n_flows)
		return err_set(e, EINVAL, "%.200s and %.200s have no addresses of one family",
			ends[0], ends[1]);
	*out = c;
	return 0;
}

struct connection_verdict connection_judge(const struct policy_world *w, const struct connection *c,
	size_t flow, bool with_staged, struct policy_trail trails[POLICY_DIRECTIONS])
{
	const struct policy_flow *f = &c->flows[flow];
	struct connection_verdict v = {.all = true};
	for (int d = 0; d < POLICY_DIRECTIONS; d++) {
		const struct policy_question q = {.flow = f,
			.direction = (enum policy_direction)d,
			.pod = d == POLICY_INGRESS ? c->to.pod : c->from.pod,
			.with_staged = with_staged};
		v.is_allowed[d] =
			policy_judge(w, &q, NULL, trails ? &trails[d] : NULL) == POLICY_ALLOW;
		v.all = v.all && v.is_allowed[d];
	}
	return v;
}
