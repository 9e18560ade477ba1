/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resources: tests/data/resource/CASE/ holds a document in a file "input" (YAML or JSON), and in
 * "expected" the value that is read of it and what is kept of it, or the error with its line. Rules
 * that are easier to see in one table are here.
 */
#include "tests/unit/values.h"

#include <errno.h>

#include "cluster/document.h"
#include "cluster/resource.h"
#include "golden.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/text.h"
#include "lib/yaml.h"

static const char *const encaps[] = {"never", "always", "cross-subnet"};
static const char *const lists[] = {"importV4", "importV6", "exportV4", "exportV6"};

static void add_cidr(struct text *t, const char *name, const struct cidr *c)
{
	char text[CIDR_TEXT];
	if (!c->addr.family)
		return;
	cidr_format(c, text);
	text_add(t, " %s=%s", name, text);
}

static void add_addr(struct text *t, const char *name, const struct addr *a)
{
	char text[ADDR_TEXT];
	if (!a->family)
		return;
	addr_format(a, text);
	text_add(t, " %s=%s", name, text);
}

static void add_mac(struct text *t, const char *name, const uint8_t mac[6])
{
	char text[MAC_TEXT];
	mac_format(mac, text);
	if (strcmp(text, "00:00:00:00:00:00") != 0)
		text_add(t, " %s=%s", name, text);
}

static void add_pool(struct text *t, const struct resource_pool *p)
{
	add_cidr(t, "cidr", &p->pool.cidr);
	text_add(t,
		" block=/%u cooldown=%u ipip=%s vxlan=%s nat=%d disabled=%d no-export=%d "
		"selector=\"%s\"",
		p->pool.block_len, p->pool.cooldown_s, encaps[p->ipip], encaps[p->vxlan],
		p->nat_outgoing, p->disabled, p->no_bgp_export, p->selector);
	if (p->balancer)
		text_add(t, " for-services%s", p->manual ? " manual" : "");
}

static void add_node(struct text *t, const struct resource_node *n)
{
	text_add(t, " as=%u drain=%d", n->as_number, n->drain);
	add_cidr(t, "addr4", &n->addr[IPV4]);
	add_cidr(t, "addr6", &n->addr[IPV6]);
	add_addr(t, "ipip4", &n->ipip);
	add_addr(t, "vxlan4", &n->vxlan[IPV4]);
	add_addr(t, "vxlan6", &n->vxlan[IPV6]);
	add_mac(t, "mac4", n->vxlan_mac[IPV4]);
	add_mac(t, "mac6", n->vxlan_mac[IPV6]);
	add_addr(t, "rr", &n->rr_cluster);
}

static void add_services(struct text *t, const struct resource_services *s)
{
	static const char *const uses[SERVICE_USES] = {"cluster", "external", "balancer"};
	for (size_t u = 0; u < SERVICE_USES; u++) {
		if (s->n[u])
			text_add(t, "\n  %s:", uses[u]);
		for (size_t i = 0; i < s->n[u]; i++)
			add_cidr(t, "cidr", &s->cidrs[u][i]);
	}
	if (s->balancers_apart)
		text_add(t, "\n  balancers apart");
}

static void add_bgp(struct text *t, const struct resource_bgp *b)
{
	text_add(t, " restart=%u", b->restart_s);
	if (b->has_as)
		text_add(t, " as=%u", b->as_number);
	if (b->has_mesh)
		text_add(t, " mesh=%d", b->mesh);
	if (b->has_port)
		text_add(t, " port=%u", b->port);
	if (b->has_log)
		text_add(t, " log=%d", b->log);
	if (b->has_password)
		text_add(t, " password=[%s]", b->password);
	if (b->exits.no_bfd || b->exits.bfd_interval_ms || b->exits.port || b->exits.required)
		text_add(t, " exits: bfd=%d interval=%u multiplier=%u port=%u required=%d",
			!b->exits.no_bfd, b->exits.bfd_interval_ms, b->exits.bfd_multiplier,
			b->exits.port, b->exits.required);
	for (size_t i = 0; i < b->exits.n; i++) {
		text_add(t, "\n  exit: %s", b->exits.list[i].selector);
		for (size_t k = 0; k < b->exits.list[i].n_cidrs; k++)
			add_cidr(t, "cidr", &b->exits.list[i].cidrs[k]);
	}
	add_services(t, &b->services);
}

static void add_peer(struct text *t, const struct resource_peer *p)
{
	add_addr(t, "addr", &p->addr);
	text_add(t,
		" port=%u as=%u node=\"%s\" selector=\"%s\" password=[%s] keepalive=%u "
		"restart=%u ttl=%u keep-next-hop=%d",
		p->port, p->as_number, p->node, p->selector, p->password, p->keepalive_s,
		p->restart_s, p->ttl, p->keep_next_hop);
	for (size_t i = 0; i < p->n_filters; i++)
		text_add(t, " filter=%s", p->filters[i]);
	if (p->bfd)
		text_add(t, " bfd");
	for (size_t i = 0; i < p->n_exits; i++)
		add_cidr(t, "exit", &p->exits[i]);
}

static void add_filter(struct text *t, const struct resource_filter *f)
{
	for (size_t i = 0; i < 4; i++)
		for (size_t k = 0; k < f->n_rules[i]; k++) {
			const struct resource_rule *r = &f->rules[i][k];
			text_add(t, "\n  %s: accept=%d in=%d negate=%d", lists[i], r->accept, r->in,
				r->negate);
			add_cidr(t, "cidr", &r->cidr);
			text_add(t, " length=%u-%u", r->min_len, r->max_len);
		}
}

static void add_reservation(struct text *t, const struct resource_reservation *r)
{
	for (size_t i = 0; i < r->n; i++)
		add_cidr(t, "cidr", &r->cidrs[i]);
}

static void describe_value(struct text *t, const struct resource *r)
{
	text_add(t, "%s %s:", resource_kind_text(r->kind), r->name);
	switch (r->kind) {
	case RESOURCE_IPPOOL:
		add_pool(t, &r->pool);
		break;
	case RESOURCE_NODE:
		add_node(t, &r->node);
		break;
	case RESOURCE_BGPCONFIGURATION:
		add_bgp(t, &r->bgp);
		break;
	case RESOURCE_BGPPEER:
		add_peer(t, &r->peer);
		break;
	case RESOURCE_BGPFILTER:
		add_filter(t, &r->filter);
		break;
	case RESOURCE_IPRESERVATION:
		add_reservation(t, &r->reservation);
		break;
	case RESOURCE_IPAMCONFIGURATION:
		text_add(t, " blocks=%u cooldown=%lld", r->ipam.max_blocks,
			(long long)r->ipam.cooldown_s);
		break;
	case RESOURCE_TIER:
	case RESOURCE_GLOBALNETWORKSET:
	case RESOURCE_NETWORKSET:
	case RESOURCE_GLOBALNETWORKPOLICY:
	case RESOURCE_NETWORKPOLICY:
	case RESOURCE_STAGEDGLOBALNETWORKPOLICY:
	case RESOURCE_STAGEDNETWORKPOLICY:
	case RESOURCE_STAGEDKUBERNETESNETWORKPOLICY:
		break;
	case RESOURCE_KINDS:
		fail();
	}
	text_add(t, "\n");
}

/* What is kept must be read to the same value. */
static void describe_stored(struct text *t, const json_t *doc)
{
	CLEANUP_JSON json_t *stored = document_stored(doc);
	CLEANUP_JSON json_t *again = document_stored(stored);
	CLEANUP_FREE char *yaml = yaml_text(stored);
	char a[4096], b[4096], where[RESOURCE_WHERE];
	struct text ta = TEXT_ON(a), tb = TEXT_ON(b);
	struct resource ra, rb;
	struct err e;
	assert_int_equal(resource_parse(doc, &ra, where, &e), 0);
	assert_int_equal(resource_parse(stored, &rb, where, &e), 0);
	describe_value(&ta, &ra);
	describe_value(&tb, &rb);
	assert_string_equal(a, b);
	assert_true(json_equal(stored, again));
	text_add(t, "%s---\n%s", a, yaml);
	resource_done(&ra);
	resource_done(&rb);
}

static void describe(const char *dir, char *out, size_t size)
{
	struct text t = {.buf = out, .size = size};
	size_t len = 0;
	CLEANUP_FREE char *input = golden_read(dir, "input", &len);
	struct yaml_file *f = NULL;
	struct resource r;
	char where[RESOURCE_WHERE];
	struct err e = {0};
	assert_non_null(input);
	if (yaml_parse(input, len, &f, &e) < 0)
		fail_msg("%s: %s", dir, e.text);
	for (size_t i = 0; i < yaml_count(f); i++) {
		int error = resource_parse(yaml_document(f, i), &r, where, &e);
		if (error < 0) {
			assert_true(error == -EINVAL || error == -EBADMSG);
			text_add(&t, "line %u: [%s] %s\n", yaml_line(f, i, where), where, e.text);
			continue;
		}
		resource_done(&r);
		describe_stored(&t, yaml_document(f, i));
	}
	assert_false(t.cut);
	yaml_file_free(f);
}

TEST(documents_read_as_the_golden_folders_say)
{
	golden_run("resource", describe);
}

TEST(kinds_are_known_by_name_and_plural_in_any_case)
{
	const char *names[] = {"IPPool", "ippool", "ippools", "IPPools", "IPPOOLS"};
	enum resource_kind kind = RESOURCE_KINDS;
	for (size_t i = 0; i < COUNT(names); i++) {
		assert_true(resource_kind_parse(names[i], &kind));
		assert_int_equal(kind, RESOURCE_IPPOOL);
	}
	for (int k = 0; k < RESOURCE_KINDS; k++) {
		assert_true(
			resource_kind_parse(resource_kind_plural((enum resource_kind)k), &kind));
		assert_int_equal(kind, k);
	}
	assert_false(resource_kind_parse("", &kind));
	assert_false(resource_kind_parse("pool", &kind));
	assert_false(resource_kind_parse("ippoolss", &kind));
}

/* A document of one field, and what is said about it; NULL: it is fine. */
struct one {
	const char *kind, *field, *sentence;
};

static void try_one(const struct one *one)
{
	char text[2048], where[RESOURCE_WHERE];
	struct yaml_file *f = NULL;
	struct resource r;
	struct err e = {0};
	const char *required = strcmp(one->kind, "BGPPeer") == 0 ? "peerIP: 10.0.0.9\n  asNumber: 1"
			       : strcmp(one->kind, "IPPool") == 0 ? "cidr: 10.65.0.0/16"
								  : "x: null";
	if (strncmp(one->field, "cidr:", 5) == 0 || strncmp(one->field, "peerIP:", 7) == 0)
		required = one->field[0] == 'c' ? "x: null" : "asNumber: 1";
	bool two = strncmp(one->field, "asNumber:", 9) == 0 && strcmp(one->kind, "BGPPeer") == 0;
	(void)snprintf(text, sizeof(text),
		"apiVersion: projectcalico.org/v3\nkind: %s\nmetadata: {name: default}\nspec:\n  "
		"%s\n  %s\n",
		one->kind, two ? "peerIP: 10.0.0.9" : required, one->field);
	if (yaml_parse(text, strlen(text), &f, &e) < 0)
		fail_msg("%s: %s", text, e.text);
	json_t *spec = json_object_get(yaml_document(f, 0), "spec");
	(void)json_object_del(spec, "x");
	int error = resource_parse(yaml_document(f, 0), &r, where, &e);
	if (error == 0)
		resource_done(&r);
	if ((error == 0) != (one->sentence == NULL))
		fail_msg("%s %s: %s", one->kind, one->field, error ? e.text : "is fine");
	if (error)
		assert_string_equal(e.text, one->sentence);
	if (error)
		assert_int_equal(strncmp(e.text, where, strlen(where)), 0);
	yaml_file_free(f);
}

#define MUST_MODE ", must be Never, Always or CrossSubnet"
#define MUST_NOT_BE_SET " is for pods: a pool with allowedUses [LoadBalancer] cannot have it"
#define MUST_TIME ", must be a time in whole seconds like \"120s\" or \"2m\""
#define MUST_AS ", must be an AS number (1 to 4294967295, or \"1.2\")"
#define MUST_PEER ", must be ADDRESS, IPV4:PORT or [IPV6]:PORT"
#define MUST_PREFIX ", must be an IP prefix (ADDRESS/LENGTH)"

TEST(fields_are_judged_one_by_one)
{
	static const struct one table[] = {
		{"IPPool", "blockSize: 20", NULL},
		{"IPPool", "blockSize: 32", NULL},
		{"IPPool", "blockSize: 19", "spec.blockSize is 19, must be between 20 and 32"},
		{"IPPool", "blockSize: 33", "spec.blockSize is 33, must be between 20 and 32"},
		{"IPPool", "blockSize: \"26\"",
			"spec.blockSize must be a whole number, not a string"},
		{"IPPool", "cidr: 10.65.0.0/27", NULL},
		{"IPPool", "cidr: fd00::/48", NULL},
		{"IPPool", "cidr: 10.65.0.1/16",
			"spec.cidr is 10.65.0.1/16, which has host bits; the prefix is "
			"10.65.0.0/16"},
		{"IPPool", "cidr: 10.65.0.0/33", "spec.cidr is \"10.65.0.0/33\"" MUST_PREFIX},
		{"IPPool", "cidr: 10.065.0.0/16", "spec.cidr is \"10.065.0.0/16\"" MUST_PREFIX},
		{"IPPool", "cidr: \"10.65.0.0/16; x\"",
			"spec.cidr is \"10.65.0.0/16; x\"" MUST_PREFIX},
		{"IPPool", "cidr: 5", "spec.cidr must be a string, not a number"},
		{"IPPool", "cidr: null", "spec.cidr is missing"},
		{"IPPool", "cidr: 169.254.0.0/24",
			"spec.cidr is 169.254.0.0/24, which contains link-local addresses "
			"(169.254.0.0/16)"},
		{"IPPool", "cidr: 0.0.0.0/0",
			"spec.cidr is 0.0.0.0/0, which contains unspecified addresses (0.0.0.0/8)"},
		{"IPPool", "cidr: 127.1.0.0/16",
			"spec.cidr is 127.1.0.0/16, which contains loopback addresses "
			"(127.0.0.0/8)"},
		{"IPPool", "cidr: 239.0.0.0/8",
			"spec.cidr is 239.0.0.0/8, which contains multicast addresses "
			"(224.0.0.0/4)"},
		{"IPPool", "cidr: fe80::/64",
			"spec.cidr is fe80::/64, which contains link-local addresses (fe80::/10)"},
		{"IPPool", "ipipMode: Always", NULL},
		{"IPPool", "ipipMode: always", "spec.ipipMode is \"always\"" MUST_MODE},
		{"IPPool", "ipipMode: true", "spec.ipipMode must be a string, not true"},
		{"IPPool", "vxlanMode: CrossSubnet", NULL},
		{"IPPool", "natOutgoing: \"true\"",
			"spec.natOutgoing must be true or false, not a string"},
		{"IPPool", "natOutgoing: yes",
			"spec.natOutgoing must be true or false, not a string"},
		{"IPPool", "nodeSelector: has(x",
			"spec.nodeSelector is not a selector: column 6: ) is "
			"expected here"},
		{"IPPool", "nodeSelector: \"k == 'v'\"", NULL},
		{"IPPool", "nodeSelector: \"k == '\\u00e4'\"",
			"spec.nodeSelector is not a selector: column 7: not printable ASCII"},
		{"IPPool", "nodeSelector: \"k == 'a\\nb'\"",
			"spec.nodeSelector is not a selector: column 8: not printable ASCII"},
		{"IPPool", "allowedUses: []", NULL},
		{"IPPool", "allowedUses: [Tunnel, Workload]", NULL},
		{"IPPool", "allowedUses: [LoadBalancer]", NULL},
		{"IPPool", "allowedUses: [Egress]",
			"spec.allowedUses[0] \"Egress\" is not supported by roost"},
		{"IPPool", "allowedUses: [Workload, Tunnel, LoadBalancer]",
			"spec.allowedUses with LoadBalancer and another use is not supported: a "
			"pool is for services, or for pods and tunnels"},
		{"IPPool", "allowedUses: [LoadBalancer]\n  assignmentMode: Manual", NULL},
		{"IPPool", "allowedUses: [LoadBalancer]\n  vxlanMode: Always",
			"spec.vxlanMode" MUST_NOT_BE_SET},
		{"IPPool", "allowedUses: [LoadBalancer]\n  natOutgoing: true",
			"spec.natOutgoing" MUST_NOT_BE_SET},
		{"IPPool", "allowedUses: [LoadBalancer]\n  disableBGPExport: true",
			"spec.disableBGPExport" MUST_NOT_BE_SET},
		{"IPPool", "allowedUses: [LoadBalancer]\n  nodeSelector: has(x)",
			"spec.nodeSelector" MUST_NOT_BE_SET},
		{"IPPool", "allowedUses: [LoadBalancer]\n  nodeSelector: all()", NULL},
		{"IPPool", "allowedUses: [Workload, 5]", "spec.allowedUses[1] must be a string"},
		{"IPPool", "allowedUses: [Workload]",
			"spec.allowedUses without Tunnel is not supported by roost: a pool is for "
			"pods and tunnels"},
		{"IPPool", "assignmentMode: Automatic", NULL},
		{"IPPool", "assignmentMode: Manual",
			"spec.assignmentMode \"Manual\" is not supported by roost, but with "
			"allowedUses [LoadBalancer]"},
		{"IPPool", "namespaceSelector: all()", NULL},
		{"IPPool", "namespaceSelector: has(x)",
			"spec.namespaceSelector \"has(x)\" is not supported by roost, only "
			"\"all()\" is"},
		{"IPPool", "ipip: {mode: always}",
			"spec.ipip is not supported by roost: did you mean ipipMode?"},
		{"IPPool", "\"bad\\nname\": 1", "spec.bad?name is not supported by roost"},

		{"Node", "bgp: {ipv4Address: 192.168.1.10}", NULL},
		{"Node", "bgp: {ipv4Address: 192.168.1.10/24}", NULL},
		{"Node", "bgp: {ipv4Address: fd00::1}",
			"spec.bgp.ipv4Address is \"fd00::1\", must be an IPv4 address, with or "
			"without "
			"the length of its subnet"},
		{"Node", "bgp: {ipv6Address: \"::1/128\"}",
			"spec.bgp.ipv6Address is ::1, which is among the loopback addresses "
			"(::1/128): no host has it"},
		{"Node", "bgp: {ipv4IPIPTunnelAddr: 10.65.0.0}", NULL},
		{"Node", "bgp: {ipv4IPIPTunnelAddr: 10.65.0.0/32}",
			"spec.bgp.ipv4IPIPTunnelAddr is \"10.65.0.0/32\", must be an IPv4 address"},
		{"BGPConfiguration", "programClusterRoutes: Enabled", NULL},
		{"BGPConfiguration", "programClusterRoutes: Disabled",
			"spec.programClusterRoutes \"Disabled\" is not supported by roost, only "
			"\"Enabled\" is"},
		{"BGPConfiguration", "serviceLoadBalancerAggregation: Enabled", NULL},
		{"BGPConfiguration", "serviceLoadBalancerAggregation: Disabled", NULL},
		{"BGPConfiguration", "serviceLoadBalancerAggregation: disabled",
			"spec.serviceLoadBalancerAggregation is \"disabled\", must be Enabled or "
			"Disabled"},
		{"BGPConfiguration", "ipv4NormalRoutePriority: 1024", NULL},
		{"BGPConfiguration", "ipv4NormalRoutePriority: 512",
			"spec.ipv4NormalRoutePriority 512 is not supported by roost, only 1024 is"},
		{"BGPConfiguration", "ipv6NormalRoutePriority: 0",
			"spec.ipv6NormalRoutePriority 0 is not supported by roost, only 1024 is"},
		{"BGPConfiguration", "ipv6NormalRoutePriority: \"1024\"",
			"spec.ipv6NormalRoutePriority must be a whole number, not a string"},
		{"Node", "bgp: {wireguard: {}}", "spec.bgp.wireguard is not supported by roost"},
		{"Node", "wireguard: {}", "spec.wireguard is not supported by roost"},
		{"Node", "bgp: []", "spec.bgp must be an object, not an array"},
		{"Node", "bgp: {routeReflectorClusterID: 224.0.0.1}", NULL},
		{"Node", "bgp: {routeReflectorClusterID: 1}",
			"spec.bgp.routeReflectorClusterID must be a string, not a number"},
		{"Node", "bgp: {routeReflectorClusterID: \"1; }\"}",
			"spec.bgp.routeReflectorClusterID is \"1; }\", must be four numbers like "
			"244.0.0.1"},
		{"Node", "vxlanTunnelMACAddr: 66:3e:04:aa:bb:cc", NULL},
		{"Node", "vxlanTunnelMACAddr: 67:3e:04:aa:bb:cc",
			"spec.vxlanTunnelMACAddr is \"67:3e:04:aa:bb:cc\", must be a MAC address "
			"like "
			"66:3e:04:aa:bb:cc"},
		{"Node", "drain: true", NULL},
		{"Node", "drain: 1", "spec.drain must be true or false, not a number"},

		{"BGPConfiguration", "exits: []", NULL},
		{"BGPConfiguration", "exits: [{nodeSelector: has(x), cidrs: [0.0.0.0/0]}]", NULL},
		{"BGPConfiguration", "exits: {}", "spec.exits must be an array, not an object"},
		{"BGPConfiguration", "exits: [{cidrs: [0.0.0.0/0]}]",
			"spec.exits[0].nodeSelector is missing: it says which nodes are exits, "
			"all() would leave none to use them"},
		{"BGPConfiguration", "exits: [{nodeSelector: has(x)}]",
			"spec.exits[0].cidrs is missing: it says where the exits lead, 0.0.0.0/0 "
			"and ::/0 are everywhere"},
		{"BGPConfiguration", "exits: [{nodeSelector: \"has(\", cidrs: [0.0.0.0/0]}]",
			"spec.exits[0].nodeSelector is not a selector: column 5: it ends too soon"},
		{"BGPConfiguration", "exits: [{nodeSelector: has(x), cidrs: [10.0.0.1/8]}]",
			"spec.exits[0].cidrs[0] is 10.0.0.1/8, which has host bits; the prefix is "
			"10.0.0.0/8"},
		{"BGPConfiguration", "exits: [{nodeSelector: has(x), cidrs: [127.0.0.0/8]}]",
			"spec.exits[0].cidrs[0] is 127.0.0.0/8, which contains loopback addresses "
			"(127.0.0.0/8)"},
		{"BGPConfiguration", "exits: [{nodeSelector: has(x), cidrs: [\"::/0\", \"::/0\"]}]",
			"spec.exits[0].cidrs[1] is ::/0, which is there twice"},
		{"BGPConfiguration", "exits: [{nodeSelector: has(x), weight: 1}]",
			"spec.exits[0].weight is not supported by roost"},
		{"BGPConfiguration", "exitBFD: {enabled: false}", NULL},
		{"BGPConfiguration", "exitBFD: {intervalMs: 10}",
			"spec.exitBFD.intervalMs is 10, must be between 20 and 10000"},
		{"BGPConfiguration", "exitBFD: {multiplier: 1}",
			"spec.exitBFD.multiplier is 1, must be between 2 and 50"},
		{"BGPConfiguration", "exitPort: 0",
			"spec.exitPort is 0, must be between 1 and 65535"},
		{"BGPConfiguration", "exitFallback: Drop",
			"spec.exitFallback is \"Drop\", must be NodeDefault or Unreachable"},
		{"BGPPeer", "exits: [0.0.0.0/0]", NULL},
		{"BGPPeer", "exits: [\"::/0\"]",
			"spec.exits[0] is not of the family of peerIP: a peer brings routes of its "
			"own family"},
		{"BGPPeer", "bfd: 1", "spec.bfd must be true or false, not a number"},
		{"BGPConfiguration", "asNumber: 4294967295", NULL},
		{"BGPConfiguration", "asNumber: \"64512\"", NULL},
		{"BGPConfiguration", "asNumber: \"65535.65535\"", NULL},
		{"BGPConfiguration", "asNumber: \"0.1\"", NULL},
		{"BGPConfiguration", "asNumber: \"0.0\"", "spec.asNumber is \"0.0\"" MUST_AS},
		{"BGPConfiguration", "asNumber: \"1.65536\"",
			"spec.asNumber is \"1.65536\"" MUST_AS},
		{"BGPConfiguration", "asNumber: \"1.2.3\"", "spec.asNumber is \"1.2.3\"" MUST_AS},
		{"BGPConfiguration", "asNumber: \".1\"", "spec.asNumber is \".1\"" MUST_AS},
		{"BGPConfiguration", "asNumber: \"\"", "spec.asNumber is \"\"" MUST_AS},
		{"BGPConfiguration", "asNumber: \"4294967296\"",
			"spec.asNumber is \"4294967296\"" MUST_AS},
		{"BGPConfiguration", "asNumber: 1.10",
			"spec.asNumber is a fraction; an AS number with a dot needs quotes"},
		{"BGPConfiguration", "asNumber: 0",
			"spec.asNumber is 0, must be between 1 and 4294967295"},
		{"BGPConfiguration", "asNumber: -1",
			"spec.asNumber is -1, must be between 1 and 4294967295"},
		{"BGPConfiguration", "listenPort: 65535", NULL},
		{"BGPConfiguration", "listenPort: 0",
			"spec.listenPort is 0, must be between 1 and 65535"},
		{"BGPConfiguration", "logSeverityScreen: Debug", NULL},
		{"BGPConfiguration", "logSeverityScreen: info",
			"spec.logSeverityScreen is \"info\", must be None, Debug, Info, Warning, "
			"Error "
			"or Fatal"},
		{"BGPConfiguration", "nodeMeshMaxRestartTime: 1m30s", NULL},
		{"BGPConfiguration", "nodeMeshMaxRestartTime: 4095s", NULL},
		{"BGPConfiguration", "nodeMeshMaxRestartTime: 4096s",
			"spec.nodeMeshMaxRestartTime is 4096 seconds, must be between 1 and 4095"},
		{"BGPConfiguration", "nodeMeshMaxRestartTime: 2h",
			"spec.nodeMeshMaxRestartTime is 7200 seconds, must be between 1 and 4095"},
		{"BGPConfiguration", "nodeMeshMaxRestartTime: 0s",
			"spec.nodeMeshMaxRestartTime is 0 seconds, must be between 1 and 4095"},
		{"BGPConfiguration", "nodeMeshMaxRestartTime: 100ms",
			"spec.nodeMeshMaxRestartTime is \"100ms\"" MUST_TIME},
		{"BGPConfiguration", "nodeMeshMaxRestartTime: \"120\"",
			"spec.nodeMeshMaxRestartTime is \"120\"" MUST_TIME},
		{"BGPConfiguration", "nodeMeshMaxRestartTime: \"\"",
			"spec.nodeMeshMaxRestartTime is \"\"" MUST_TIME},
		{"BGPConfiguration", "nodeMeshMaxRestartTime: 120",
			"spec.nodeMeshMaxRestartTime must be a string, not a number"},
		{"BGPConfiguration", "nodeMeshPassword: {text: \"a b'{};#\"}", NULL},
		{"BGPConfiguration", "nodeMeshPassword: {secretKeyRef: {name: x, key: y}}",
			"spec.nodeMeshPassword.secretKeyRef is not supported by roost"},
		{"BGPConfiguration", "nodeMeshPassword: {}",
			"spec.nodeMeshPassword.text is missing"},
		{"BGPConfiguration", "bindMode: None", NULL},
		{"BGPConfiguration", "bindMode: NodeIP",
			"spec.bindMode \"NodeIP\" is not supported by roost, only \"None\" is"},
		{"BGPConfiguration", "serviceClusterIPs: []", NULL},
		{"BGPConfiguration", "serviceClusterIPs: [{cidr: 10.96.0.0/12}]", NULL},
		{"BGPConfiguration",
			"serviceExternalIPs: [{cidr: 192.0.2.0/24}, {cidr: \"2001:db8::/112\"}]",
			NULL},
		{"BGPConfiguration", "serviceLoadBalancerIPs: [{cidr: 192.0.2.7/32}]", NULL},
		{"BGPConfiguration", "serviceClusterIPs: [10.96.0.0/12]",
			"spec.serviceClusterIPs[0] must be an object"},
		{"BGPConfiguration", "serviceClusterIPs: [{}]",
			"spec.serviceClusterIPs[0].cidr is missing"},
		{"BGPConfiguration", "serviceExternalIPs: [{cidr: 10.96.0.1/12}]",
			"spec.serviceExternalIPs[0].cidr is 10.96.0.1/12, which has host bits; "
			"the prefix is 10.96.0.0/12"},
		{"BGPConfiguration", "serviceExternalIPs: [{cidr: 0.0.0.0/0}]",
			"spec.serviceExternalIPs[0].cidr is 0.0.0.0/0, wider than /8"},
		{"BGPConfiguration", "serviceExternalIPs: [{cidr: 169.254.0.0/16}]",
			"spec.serviceExternalIPs[0].cidr is 169.254.0.0/16, which contains "
			"link-local addresses (169.254.0.0/16)"},
		{"BGPConfiguration",
			"serviceLoadBalancerIPs: [{cidr: 10.1.0.0/16}, {cidr: 10.1.0.0/16}]",
			"spec.serviceLoadBalancerIPs[1].cidr is 10.1.0.0/16, which is there twice"},
		{"BGPConfiguration", "serviceLoadBalancerIPs: [{cidr: 10.1.0.0/16, x: 1}]",
			"spec.serviceLoadBalancerIPs[0].x is not supported by roost"},
		{"BGPConfiguration", "communities: x",
			"spec.communities must be an array, not a string"},

		{"BGPPeer", "peerIP: 10.0.0.1", NULL},
		{"BGPPeer", "peerIP: 10.0.0.1:1790", NULL},
		{"BGPPeer", "peerIP: fd00::1", NULL},
		{"BGPPeer", "peerIP: \"[fd00::1]:1790\"", NULL},
		{"BGPPeer", "peerIP: \"[fd00::1]\"", "spec.peerIP is \"[fd00::1]\"" MUST_PEER},
		{"BGPPeer", "peerIP: \"[10.0.0.1]:179\"",
			"spec.peerIP is \"[10.0.0.1]:179\"" MUST_PEER},
		{"BGPPeer", "peerIP: \"10.0.0.1:\"", "spec.peerIP is \"10.0.0.1:\"" MUST_PEER},
		{"BGPPeer", "peerIP: 10.0.0.1:0", "spec.peerIP is \"10.0.0.1:0\"" MUST_PEER},
		{"BGPPeer", "peerIP: 10.0.0.1:65536",
			"spec.peerIP is \"10.0.0.1:65536\"" MUST_PEER},
		{"BGPPeer", "peerIP: \"10.0.0.1:1 \"", "spec.peerIP is \"10.0.0.1:1 \"" MUST_PEER},
		{"BGPPeer", "peerIP: \"[fd00::1:179\"",
			"spec.peerIP is \"[fd00::1:179\"" MUST_PEER},
		{"BGPPeer", "peerIP: router.example",
			"spec.peerIP is \"router.example\"" MUST_PEER},
		{"BGPPeer", "peerIP: fe80::1",
			"spec.peerIP is fe80::1, which is among the link-local addresses "
			"(fe80::/10): "
			"no host has it"},
		{"BGPPeer", "peerIP: \"\"",
			"spec.peerIP is missing: peers are given by address, one for each BGPPeer"},
		{"BGPPeer", "asNumber: null", "spec.asNumber is missing"},
		{"BGPPeer", "node: worker-1.example", NULL},
		{"BGPPeer", "node: Worker",
			"spec.node \"Worker\" is not a name (a-z, 0-9, dashes and dots, 253 "
			"characters "
			"at most)"},
		{"BGPPeer", "node: \"a\\\"; protocol device {}\"",
			"spec.node \"a\"; protocol device {}\" is not a name (a-z, 0-9, dashes and "
			"dots, "
			"253 characters at most)"},
		{"BGPPeer", "password: {text: \"a\\\"; x\"}",
			"spec.password.text must be printable ASCII without double quote and "
			"backslash"},
		{"BGPPeer", "password: {text: \"a\\\\\"}",
			"spec.password.text must be printable ASCII without double quote and "
			"backslash"},
		{"BGPPeer", "password: {text: \"a\\nb\"}",
			"spec.password.text must be printable ASCII without double quote and "
			"backslash"},
		{"BGPPeer", "password: {text: \"\\u00e4\"}",
			"spec.password.text must be printable ASCII without double quote and "
			"backslash"},
		{"BGPPeer",
			"password: {text: "
			"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
			"aaaaaa}",
			NULL},
		{"BGPPeer",
			"password: {text: "
			"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
			"aaaaaab}",
			"spec.password.text is longer than 80 characters"},
		{"BGPPeer", "password: secret", "spec.password must be an object, not a string"},
		{"BGPPeer", "keepaliveTime: 20s", NULL},
		{"BGPPeer", "keepaliveTime: 21846s",
			"spec.keepaliveTime is 21846 seconds, must be between 1 and 21845"},
		{"BGPPeer", "ttlSecurity: 255", NULL},
		{"BGPPeer", "ttlSecurity: 256",
			"spec.ttlSecurity is 256, must be between 0 and 255"},
		{"BGPPeer", "filters: [a, b]", NULL},
		{"BGPPeer", "filters: [a, \"b)\"]",
			"spec.filters[1] is \"b)\", must be the name of a BGPFilter"},
		{"BGPPeer", "filters: [a, a, a, a, a, a, a, a, a]",
			"spec.filters has 9 entries, at most 8 are possible"},
		{"BGPPeer", "sourceAddress: UseNodeIP", NULL},
		{"BGPPeer", "sourceAddress: None",
			"spec.sourceAddress \"None\" is not supported by roost, only \"UseNodeIP\" "
			"is"},
		{"BGPPeer", "numAllowedLocalASNumbers: 1",
			"spec.numAllowedLocalASNumbers 1 is not supported by roost, only 0 is"},
		{"BGPPeer", "peerSelector: has(rr)",
			"spec.peerSelector \"has(rr)\" is not supported by roost, only \"\" is"},

		{"BGPFilter", "importV4: [{action: Accept}]", NULL},
		{"BGPFilter", "importV4: [{}]", "spec.importV4[0].action is missing"},
		{"BGPFilter", "importV4: [x]", "spec.importV4[0] must be an object"},
		{"BGPFilter", "importV4: [{action: Accept}, {action: accept}]",
			"spec.importV4[1].action is \"accept\", must be Reject or Accept"},
		{"BGPFilter", "exportV6: [{action: Accept, cidr: 10.0.0.0/8, matchOperator: In}]",
			"spec.exportV6[0].cidr is \"10.0.0.0/8\", must be an IPv6 prefix "
			"(ADDRESS/LENGTH)"},
		{"BGPFilter", "exportV4: [{action: Accept, cidr: 10.0.0.0/8}]",
			"spec.exportV4[0].matchOperator is missing: cidr and matchOperator come "
			"together"},
		{"BGPFilter", "exportV4: [{action: Accept, matchOperator: In}]",
			"spec.exportV4[0].cidr is missing: cidr and matchOperator come together"},
		{"BGPFilter",
			"exportV4: [{action: Accept, cidr: 10.0.0.0/8, matchOperator: Within}]",
			"spec.exportV4[0].matchOperator is \"Within\", must be Equal, NotEqual, In "
			"or "
			"NotIn"},
		{"BGPFilter",
			"exportV4: [{action: Accept, cidr: 10.0.0.0/8, matchOperator: Equal, "
			"prefixLength: {min: 8}}]",
			"spec.exportV4[0].prefixLength needs a cidr, and In or NotIn as "
			"matchOperator"},
		{"BGPFilter",
			"exportV4: [{action: Accept, cidr: 10.0.0.0/8, matchOperator: In, "
			"prefixLength: {min: 24, max: 16}}]",
			"spec.exportV4[0].prefixLength.max is 16, must be between 24 and 32"},
		{"BGPFilter",
			"exportV4: [{action: Accept, cidr: 10.0.0.1/32, matchOperator: In, "
			"prefixLength: {max: 31}}]",
			"spec.exportV4[0].prefixLength.max is 31, must be 32"},
		{"BGPFilter",
			"exportV4: [{action: Accept, cidr: 10.0.0.0/8, matchOperator: In, "
			"prefixLength: {min: 4}}]",
			"spec.exportV4[0].prefixLength.min is 4, must be between 8 and 32"},
		{"BGPFilter", "exportV4: [{action: Accept, interface: \"eth*\"}]",
			"spec.exportV4[0].interface is not supported by roost"},

		{"IPReservation", "reservedCIDRs: [10.65.0.0/28, 10.65.3.7, fd00::1/128]", NULL},
		{"IPReservation", "reservedCIDRs: [10.65.0.1/28]",
			"spec.reservedCIDRs[0] is 10.65.0.1/28, which has host bits; the prefix is "
			"10.65.0.0/28"},
		{"IPReservation", "reservedCIDRs: [10.65.0.0/28, null]",
			"spec.reservedCIDRs[1] must be a string"},
		{"IPReservation", "reservedCIDRs: 10.65.0.0/28",
			"spec.reservedCIDRs must be an array, not a string"},

		{"IPAMConfiguration", "maxBlocksPerHost: 20", NULL},
		{"IPAMConfiguration", "maxBlocksPerHost: -1",
			"spec.maxBlocksPerHost is -1, must be between 0 and 2147483647"},
		{"IPAMConfiguration", "ipCooldownSeconds: 0", NULL},
		{"IPAMConfiguration", "ipCooldownSeconds: 86401",
			"spec.ipCooldownSeconds is 86401, must be between 0 and 86400"},
		{"IPAMConfiguration", "strictAffinity: false", NULL},
		{"IPAMConfiguration", "autoAllocateBlocks: false",
			"spec.autoAllocateBlocks false is not supported by roost"},
	};
	for (size_t i = 0; i < COUNT(table); i++)
		try_one(&table[i]);
}

static int parse_named(const char *kind, const char *metadata, const char *spec, struct err *e)
{
	char text[2048], where[RESOURCE_WHERE];
	struct resource r;
	(void)snprintf(text, sizeof(text),
		"{\"apiVersion\": \"projectcalico.org/v3\", \"kind\": \"%s\", \"metadata\": %s, "
		"\"spec\": %s}",
		kind, metadata, spec);
	json_t *doc = json_of(text);
	int error = resource_parse(doc, &r, where, e);
	if (error == 0)
		resource_done(&r);
	json_decref(doc);
	return error;
}

TEST(names_and_labels_have_known_alphabets)
{
	static const struct {
		const char *metadata, *sentence;
	} table[] = {
		{"{\"name\": \"a\"}", NULL},
		{"{\"name\": \"a.b-c.9\"}", NULL},
		{"{\"name\": \"\"}", "metadata.name is missing"},
		{"{}", "metadata.name is missing"},
		{"null", "metadata is missing"},
		{"[]", "metadata must be an object, not an array"},
		{"{\"name\": \"A\"}", "metadata.name \"A\" is not a name (a-z, 0-9, dashes and "
				      "dots, 253 characters "
				      "at most)"},
		{"{\"name\": \"a/b\"}", "metadata.name \"a/b\" is not a name (a-z, 0-9, dashes and "
					"dots, 253 characters "
					"at most)"},
		{"{\"name\": \"a\\nb\"}", "metadata.name \"a?b\" is not a name (a-z, 0-9, dashes "
					  "and dots, 253 characters "
					  "at most)"},
		{"{\"name\": \"a\", \"labels\": {\"x.y/z-_\": \"V-1_.a\", \"e\": \"\"}}", NULL},
		{"{\"name\": \"a\", \"labels\": {\"x\": 1}}", "metadata.labels.x must be a string"},
		{"{\"name\": \"a\", \"labels\": {\"x y\": \"1\"}}",
			"metadata.labels.x y is not a label's key (a-z, 0-9, _ . / -)"},
		{"{\"name\": \"a\", \"labels\": {\"\": \"1\"}}",
			"metadata.labels is not a label's key (a-z, 0-9, _ . / -)"},
		{"{\"name\": \"a\", \"labels\": {\"x\": \"a b\"}}",
			"metadata.labels.x is \"a b\", must be at most 63 of a-z, A-Z, 0-9, _ . -"},
		{"{\"name\": \"a\", \"labels\": {\"x\": \"a/b\"}}",
			"metadata.labels.x is \"a/b\", must be at most 63 of a-z, A-Z, 0-9, _ . -"},
		{"{\"name\": \"a\", \"annotations\": {\"x\": \"any text \\u00e4 {}\"}}", NULL},
		{"{\"name\": \"a\", \"annotations\": {\"x\": \"a\\nb\"}}",
			"metadata.annotations.x has control characters"},
		{"{\"name\": \"a\", \"annotations\": {\"x\": \"a\\u009bb\"}}",
			"metadata.annotations.x has control characters"},
		{"{\"name\": \"a\", \"annotations\": "
		 "{\"kubectl.kubernetes.io/last-applied-configuration\": \"{}\\n\"}}",
			NULL},
		{"{\"name\": \"a\", \"namespace\": \"b\"}",
			"metadata.namespace is not supported by roost"},
		{"{\"name\": \"a\", \"ownerReferences\": []}",
			"metadata.ownerReferences is not supported by roost"},
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		struct err e = {0};
		int error = parse_named("BGPFilter", table[i].metadata, "{}", &e);
		if ((error == 0) != (table[i].sentence == NULL))
			fail_msg("%s: %s", table[i].metadata, error ? e.text : "is fine");
		if (error)
			assert_string_equal(e.text, table[i].sentence);
	}
}

TEST(some_kinds_have_fixed_names)
{
	static const struct {
		const char *kind, *metadata, *spec, *sentence;
	} table[] = {
		{"BGPConfiguration", "{\"name\": \"node.a.b\"}", "{\"listenPort\": 1790}", NULL},
		{"BGPConfiguration", "{\"name\": \"other\"}", "{}",
			"metadata.name is \"other\", must be default, or node. and the name of a "
			"node"},
		{"BGPConfiguration", "{\"name\": \"node.a\"}", "{\"asNumber\": 5}",
			"spec.asNumber is of the whole cluster: only BGPConfiguration default has "
			"it"},
		{"BGPConfiguration", "{\"name\": \"node.a\"}", "{\"nodeToNodeMeshEnabled\": true}",
			"spec.nodeToNodeMeshEnabled is of the whole cluster: only BGPConfiguration "
			"default has it"},
		{"IPAMConfiguration", "{\"name\": \"other\"}", "{}",
			"metadata.name is \"other\", must be default"},
		{"BGPPeer", "{\"name\": \"a\"}",
			"{\"peerIP\": \"10.0.0.1\", \"asNumber\": 1, \"node\": \"a\", "
			"\"nodeSelector\": \"all()\"}",
			"spec.nodeSelector cannot be used together with node"},
		{"IPPool", "{\"name\": \"a\"}",
			"{\"cidr\": \"10.0.0.0/16\", \"ipipMode\": \"Always\", \"vxlanMode\": "
			"\"Always\"}",
			"spec.vxlanMode cannot be used together with ipipMode: one of them must be "
			"Never"},
		{"IPPool", "{\"name\": \"a\"}",
			"{\"cidr\": \"fd00::/64\", \"ipipMode\": \"Always\"}",
			"spec.ipipMode must be Never: IPIP carries IPv4 only"},
		{"IPPool", "{\"name\": \"a\"}", "{\"cidr\": \"10.0.0.0/27\", \"blockSize\": 26}",
			"spec.blockSize is 26, larger than the pool itself (/27)"},
		{"FelixConfiguration", "{\"name\": \"default\"}", "{}",
			"kind FelixConfiguration is not supported by roost"},
		{"ippool", "{\"name\": \"a\"}", "{}", "kind ippool is not supported by roost"},
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		struct err e = {0};
		int error = parse_named(table[i].kind, table[i].metadata, table[i].spec, &e);
		if ((error == 0) != (table[i].sentence == NULL))
			fail_msg("%s %s: %s", table[i].kind, table[i].spec,
				error ? e.text : "is fine");
		if (error)
			assert_string_equal(e.text, table[i].sentence);
	}
}

static json_t *stored_node(const char *metadata, const char *spec)
{
	char text[2048];
	(void)snprintf(text, sizeof(text),
		"{\"apiVersion\": \"projectcalico.org/v3\", \"kind\": \"Node\", \"metadata\": %s, "
		"\"spec\": %s}",
		metadata, spec);
	json_t *doc = json_of(text);
	json_t *stored = document_stored(doc);
	json_decref(doc);
	return stored;
}

#define AGENTS_BGP                                                                                 \
	"\"ipv4Address\": \"10.0.0.1/24\", \"ipv6Address\": \"fd00::1/64\", "                      \
	"\"ipv4IPIPTunnelAddr\": \"10.65.0.0\""
#define AGENTS_SPEC                                                                                \
	"\"ipv4VXLANTunnelAddr\": \"10.65.0.1\", \"vxlanTunnelMACAddr\": \"66:00:00:00:00:01\""

static void merges_to(const char *old_metadata, const char *old_spec, bool has_agent,
	const char *metadata, const char *spec, const char *expected_metadata,
	const char *expected_spec)
{
	CLEANUP_JSON json_t *old = stored_node(old_metadata, old_spec);
	CLEANUP_JSON json_t *given = stored_node(metadata, spec);
	CLEANUP_JSON json_t *expected = stored_node(expected_metadata, expected_spec);
	CLEANUP_JSON json_t *merged = document_merge_node(old, given, has_agent);
	CLEANUP_JSON json_t *again = document_merge_node(merged, given, has_agent);
	CLEANUP_FREE char *text = json_text(merged);
	if (!json_equal(merged, expected))
		fail_msg("%s", text);
	assert_true(json_equal(again, merged));
}

TEST(applying_a_node_keeps_what_its_agent_wrote)
{
	static const char agent[] = "{\"bgp\": {" AGENTS_BGP ", \"asNumber\": 7, "
				    "\"routeReflectorClusterID\": \"1.1.1.1\"}, " AGENTS_SPEC "}";
	static const char name[] = "{\"name\": \"a\", \"labels\": {\"old\": \"1\"}}";
	for (int has_agent = 0; has_agent < 2; has_agent++)
		merges_to(name, agent, has_agent, "{\"name\": \"a\", \"labels\": {\"new\": \"1\"}}",
			"{}", "{\"name\": \"a\", \"labels\": {\"new\": \"1\"}}",
			"{\"bgp\": {" AGENTS_BGP "}, " AGENTS_SPEC "}");
	/* A document without an agent is a person's. */
	static const char given[] = "{\"bgp\": {\"ipv4Address\": \"10.0.0.2/24\", \"asNumber\": 8, "
				    "\"ipv6Address\": null}, "
				    "\"vxlanTunnelMACAddr\": \"66:00:00:00:00:02\", "
				    "\"ipv6VXLANTunnelAddr\": \"fd65::1\"}";
	merges_to(name, agent, false, "{\"name\": \"a\"}", given, "{\"name\": \"a\"}",
		"{\"bgp\": {\"ipv4Address\": \"10.0.0.2/24\", \"asNumber\": 8, "
		"\"ipv6Address\": \"fd00::1/64\", \"ipv4IPIPTunnelAddr\": \"10.65.0.0\"}, "
		"\"ipv4VXLANTunnelAddr\": \"10.65.0.1\", \"ipv6VXLANTunnelAddr\": \"fd65::1\", "
		"\"vxlanTunnelMACAddr\": \"66:00:00:00:00:02\"}");
	merges_to(name, agent, true, "{\"name\": \"a\"}", given, "{\"name\": \"a\"}",
		"{\"bgp\": {" AGENTS_BGP ", \"asNumber\": 8}, " AGENTS_SPEC "}");
	CLEANUP_JSON json_t *old = stored_node(name, agent), *file = stored_node(name, given);
	CLEANUP_JSON json_t *merged = document_merge_node(old, file, true);
	CLEANUP_TEXT struct text t = {0};
	document_list_refused(file, merged, &t);
	assert_string_equal(
		t.buf, "spec.bgp.ipv4Address, spec.vxlanTunnelMACAddr, spec.ipv6VXLANTunnelAddr");
	/* An agent without an address leaves an empty object. */
	merges_to(name, "{\"bgp\": {}}", true, name, "{}", name, "{\"bgp\": {}}");
	merges_to(name, "{}", true, name, "{}", name, "{}");
}

TEST(applying_a_node_drains_it_only_when_the_file_says_so)
{
	static const char name[] = "{\"name\": \"a\"}";
	static const char drained[] = "{\"drain\": true}", none[] = "{}",
			  off[] = "{\"drain\": false}";
	static const struct {
		const char *old, *given, *expected;
	} table[] = {
		{none, none, none},
		{none, off, none}, /* as node undrain leaves it */
		{none, drained, drained},
		{drained, none, drained},
		{drained, off, none},
		{drained, drained, drained},
		{off, none, none},
	};
	for (size_t i = 0; i < COUNT(table); i++)
		merges_to(name, table[i].old, true, name, table[i].given, name, table[i].expected);
}

TEST(applying_a_node_keeps_the_label_that_its_agent_made)
{
	static const char own[] =
		"{\"name\": \"a\", \"labels\": {\"kubernetes.io/hostname\": \"a\"}}";
	static const char mine[] =
		"{\"name\": \"a\", \"labels\": {\"kubernetes.io/hostname\": \"b\"}}";
	static const char bare[] = "{\"name\": \"a\"}";
	static const struct {
		const char *old, *given, *expected;
	} table[] = {
		{own, bare, own},
		{own, mine, mine},
		{mine, own, own},
		{mine, bare, bare}, /* somebody took it out: the agent makes its own */
		{bare, bare, bare},
	};
	for (size_t i = 0; i < COUNT(table); i++)
		merges_to(table[i].old, "{}", true, table[i].given, "{}", table[i].expected, "{}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(documents_read_as_the_golden_folders_say),
		cmocka_unit_test(kinds_are_known_by_name_and_plural_in_any_case),
		cmocka_unit_test(fields_are_judged_one_by_one),
		cmocka_unit_test(names_and_labels_have_known_alphabets),
		cmocka_unit_test(some_kinds_have_fixed_names),
		cmocka_unit_test(applying_a_node_keeps_what_its_agent_wrote),
		cmocka_unit_test(applying_a_node_drains_it_only_when_the_file_says_so),
		cmocka_unit_test(applying_a_node_keeps_the_label_that_its_agent_made),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
