/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plan of a pod as golden folders (tests/data/pod): "conf" is the network configuration,
 * "pod" says who asks and which addresses were given ("address A [BLOCK]", "route DST", "uplink
 * MTU"), "expected" is the plan as text, or the error.
 */
#include "tests/unit/values.h"

#include <netinet/in.h>

#include "plugins/pod.h"

#include "lib/json.h"
#include "lib/mem.h"
#include "tests/unit/golden.h"

struct input {
	struct cni_request request;
	struct pod_addresses addresses;
	struct pod_facts facts;
	char container[64], ifname[16];
	struct port port;
};

static void take_address(char *words, struct pod_addresses *a)
{
	char *block = strchr(words, ' ');
	struct pod_addr *out = &a->addrs[a->n_addrs++];
	if (block) {
		*block = '\0';
		out->block = cidr(block + 1);
	}
	out->addr = addr(words);
}

/* "HOST POD", of TCP */
static void take_port(const char *words, struct input *in)
{
	char *pod;
	in->port = (struct port){.proto = IPPROTO_TCP};
	in->port.host = (uint16_t)strtoul(words, &pod, 10);
	in->port.pod = (uint16_t)strtoul(pod, NULL, 10);
	in->request.wishes.ports = &in->port;
	in->request.wishes.n_ports = 1;
}

static void take_line(char *line, struct input *in)
{
	char *rest = strchr(line, ' ');
	if (!rest)
		return;
	*rest++ = '\0';
	struct cni_wishes *w = &in->request.wishes;
	if (strcmp(line, "container") == 0)
		(void)text_copy(in->container, sizeof(in->container), rest);
	else if (strcmp(line, "ifname") == 0)
		(void)text_copy(in->ifname, sizeof(in->ifname), rest);
	else if (strcmp(line, "namespace") == 0)
		(void)text_copy(w->pod_namespace, sizeof(w->pod_namespace), rest);
	else if (strcmp(line, "name") == 0)
		(void)text_copy(w->pod_name, sizeof(w->pod_name), rest);
	else if (strcmp(line, "mac") == 0)
		assert_true(w->has_mac = mac_parse(rest, w->mac));
	else if (strcmp(line, "second") == 0)
		in->facts.is_second[IPV4] = in->facts.is_second[IPV6] = true;
	else if (strcmp(line, "forwards") == 0)
		in->facts.forwards[IPV4] = in->facts.forwards[IPV6] = in->facts.link_forwards =
			true;
	else if (strcmp(line, "uplink") == 0)
		in->facts.host.uplink =
			(struct net_link){.index = 2, .mtu = (uint32_t)strtoul(rest, NULL, 10)};
	else if (strcmp(line, "address") == 0)
		take_address(rest, &in->addresses);
	else if (strcmp(line, "closed") == 0)
		in->facts.gate = (struct node_gate){.ingress = strstr(rest, "ingress"),
			.egress = strstr(rest, "egress"),
			.to_host = strstr(rest, "host")};
	else if (strcmp(line, "staged") == 0)
		in->facts.gate.is_staged =
			text_copy(in->facts.gate.staged.ingress, NODE_CHAIN, rest);
	else if (strcmp(line, "port") == 0)
		take_port(rest, in);
	else if (strcmp(line, "route") == 0)
		in->addresses.routes[in->addresses.n_routes++] = cidr(rest);
	else
		fail_msg("what is \"%s\"?", line);
}

static void read_input(const char *dir, struct input *in)
{
	CLEANUP_FREE char *text = golden_read(dir, "pod", NULL);
	assert_non_null(text);
	char *save = NULL;
	for (char *l = strtok_r(text, "\n", &save); l; l = strtok_r(NULL, "\n", &save))
		take_line(l, in);
	static const uint8_t mac[6] = {0x02, 0, 0, 0, 0, 0x01};
	memcpy(in->facts.random_mac, mac, sizeof(mac));
	in->request.container = in->container;
	in->request.ifname = in->ifname;
}

static void run_case(const char *dir, char *out, size_t size)
{
	struct input in = {0};
	struct conf conf;
	struct pod pod;
	struct err e;
	CLEANUP_JSON json_t *doc = NULL;
	CLEANUP_FREE char *text = golden_read(dir, "conf", NULL);
	assert_non_null(text);
	read_input(dir, &in);
	int r = json_parse(text, strlen(text), &doc, &e);
	assert_int_equal(r, 0);
	const char *name = NULL;
	(void)json_get_string(doc, "", "name", &name, &e);
	(void)text_copy(in.request.network, sizeof(in.request.network), name ? name : "");
	r = conf_parse(doc, CONF_FULL, &conf, &e);
	if (r == 0)
		r = pod_plan(&in.request, &conf, &in.addresses, &in.facts, &pod, &e);
	struct text t = {.buf = out, .size = size};
	if (r == 0)
		pod_describe(&pod, &t);
	else
		text_add(&t, "error: %s\n", e.text);
}

TEST(plans_are_as_the_golden_folders_say)
{
	golden_run("pod", run_case);
}

TEST(a_label_survives_being_written_and_read)
{
	struct owned_label label = {
		.network = "net", .ifname = "eth0", .container = "c1", .pod = "default/web-0"};
	label.owner = hash_of("x", 1);
	char alias[NET_ALIAS];
	struct owned_label back;
	owned_label_format(&label, alias);
	assert_true(owned_label_parse(alias, &back));
	assert_true(hash_equal(&label.owner, &back.owner));
	assert_string_equal(back.network, "net");
	assert_string_equal(back.ifname, "eth0");
	assert_string_equal(back.container, "c1");
	assert_string_equal(back.pod, "default/web-0");
}

TEST(a_label_with_a_long_container_is_cut_behind_the_network)
{
	struct owned_label label = {.ifname = "eth0"};
	memset(label.network, 'n', CNI_NETWORK_MAX);
	memset(label.container, 'c', sizeof(label.container) - 1);
	char alias[NET_ALIAS];
	struct owned_label back;
	owned_label_format(&label, alias);
	assert_int_equal(strlen(alias), NET_ALIAS - 1);
	assert_true(owned_label_parse(alias, &back));
	assert_string_equal(back.network, label.network);
	assert_string_equal(back.ifname, "eth0");
}

TEST(foreign_aliases_are_not_labels)
{
	static const char *const aliases[] = {"", "uplink", "0123456789abcdef0123456789abcdef",
		"0123456789ABCDEF0123456789abcdef net eth0 c",
		"0123456789abcdef0123456789abcde net"};
	struct owned_label l;
	for (size_t i = 0; i < sizeof(aliases) / sizeof(*aliases); i++)
		assert_false(owned_label_parse(aliases[i], &l));
}

TEST(the_same_last_32_bits_give_the_same_name_and_another_second_one)
{
	struct addr v4, v6;
	v4 = addr("100.66.0.1");
	v6 = addr("fd66::6442:1");
	struct owned_hints a = owned_hints_of("roost", &v4);
	struct owned_hints b = owned_hints_of("roost", &v6);
	assert_string_equal(a.names[0], "roost64420001");
	assert_string_equal(b.names[0], "roost64420001");
	assert_string_not_equal(a.names[1], b.names[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plans_are_as_the_golden_folders_say),
		cmocka_unit_test(a_label_survives_being_written_and_read),
		cmocka_unit_test(a_label_with_a_long_container_is_cut_behind_the_network),
		cmocka_unit_test(foreign_aliases_are_not_labels),
		cmocka_unit_test(the_same_last_32_bits_give_the_same_name_and_another_second_one),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
