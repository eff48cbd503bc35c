//! What a prompt heal delivers, and what triggers and followers make of it.

use super::*;

/// Where heals are prompt, the end of a trigger's cut delivers the segments that it dropped, in order and once. What
/// another trigger waits for does not pass it.
#[test]
fn the_end_of_a_cut_delivers_what_it_dropped_where_heals_are_prompt() {
    for heal in [Heal::Natural, Heal::Prompt] {
        let net = net_that_heals(heal);
        let (id, _) = net.arm_now(&tick(1).from("n1").to("n2"), &cut());
        assert_eq!(net.send((N1, N2), 0, &TICK), NOTHING);
        assert_eq!(net.send((N1, N2), 4, b"next"), NOTHING);
        assert_eq!(net.send((N2, N1), 0, &TICK), NOTHING);
        assert_eq!(net.send((N1, N2), 4, b"next"), NOTHING, "a retransmission");
        assert!(net.see((N1, N2), &frame(PORTS, 8, 0x10, b"")).is_empty());
        let (other, progress) = net.arm_now(&tick(1).from("n2"), &hold());
        let prompt = heal == Heal::Prompt;
        let data = |out: &[Out]| payloads(out).into_iter().filter(|(_, p)| !p.is_empty()).collect();
        let (healed, held): (Vec<_>, Vec<_>) = (data(&net.release(id)), data(&net.release(other)));
        let tick = TICK.to_vec();
        let expected = [((N1, N2), tick.clone()), ((N1, N2), b"next".to_vec()), ((N2, N1), tick)];
        assert_eq!(
            (healed.as_slice(), held.as_slice()),
            match prompt {
                true => expected.split_at(2),
                false => (&[][..], &[][..]),
            }
        );
        assert_eq!(progress.borrow().fired.is_some(), prompt);
        assert!(net.release(id).is_empty());
    }
}

/// What a cut of the matrix dropped and its end delivers is followed: TCP does not send it again, and a
/// trigger that is armed later would take everything behind it for what follows a gap.
#[test]
fn what_a_heal_delivers_is_followed() {
    let mut net = net_that_heals(Heal::Prompt);
    let link = (N1, N2);
    assert_eq!(net.send(link, 0, &TICK), TICK);
    net.cut(&[link]);
    let (first, last) = (reg_send("a", 3), reg_send("b", 5));
    assert_eq!(net.send(link, 4, &first), NOTHING);
    let second_at = 4 + first.len();
    assert_eq!(net.send(link, second_at, &last), NOTHING);
    net.cut(&[]);
    assert_eq!(net.heal(), [(link, first), (link, last.clone())]);
    let (_, progress) = net.arm_now(&message_to("late"), &hold());
    let end = second_at + last.len();
    assert_eq!(net.send(link, end, &reg_send("early", 0)), reg_send("early", 0));
    assert_eq!(net.send(link, end + reg_send("early", 0).len(), &reg_send("late", 0)), NOTHING);
    assert_eq!(progress.borrow().fired.as_ref().unwrap().what, "reg_send to late");
}

/// A trigger that is armed during a cut acts on what the heal delivers.
#[test]
fn what_a_heal_delivers_passes_no_trigger() {
    let mut net = net_that_heals(Heal::Prompt);
    let link = (N1, N2);
    assert_eq!(net.send(link, 0, &TICK), TICK);
    net.cut(&[link]);
    let (first, late) = (reg_send("a", 3), reg_send("late", 5));
    assert_eq!(net.send(link, 4, &first), NOTHING);
    assert_eq!(net.send(link, 4 + first.len(), &late), NOTHING);
    let (id, progress) = net.arm_now(&message_to("late"), &hold());
    net.cut(&[]);
    let mut healed = net.heal();
    // What is held passes without its data.
    healed.retain(|(_, payload)| !payload.is_empty());
    assert_eq!(healed, [(link, first)]);
    assert!(progress.borrow().fired.is_some());
    assert_eq!(payloads(&net.release(id)), [(link, late)]);
    assert_eq!(net.heal(), [], "it is delivered once");
}

/// A cut that begins while a heal delivers drops what the heal has not delivered yet; its own end delivers it.
#[test]
fn a_cut_that_a_heal_triggers_drops_the_rest_of_it() {
    let mut net = net_that_heals(Heal::Prompt);
    let link = (N1, N2);
    net.cut(&[link]);
    for ports in [PORTS, (4001, 5000)] {
        assert_eq!(net.send_on(ports, link, 0, &TICK), NOTHING);
    }
    let (id, _) = net.arm_now(&tick(1), &cut());
    net.cut(&[]);
    assert_eq!((net.heal(), net.dropped(link)), (vec![], 4));
    assert_eq!(net.heal(), [], "the link is cut");
    assert_eq!(payloads(&net.release(id)), [(link, TICK.to_vec()), (link, TICK.to_vec())]);
    assert_eq!((net.heal(), net.dropped(link)), (vec![], 4));
}

/// The heal may deliver a SYN after its repetition has begun the connection.
#[test]
fn a_repeated_beginning_begins_no_second_connection() {
    let mut net = net_that_heals(Heal::Prompt);
    let link = (N1, N2);
    net.cut(&[link]);
    let syn = frame(PORTS, 99, SYN, b"");
    assert!(net.see(link, &syn).is_empty());
    net.cut(&[]);
    assert_eq!(net.see(link, &syn).len(), 1);
    let name = fuzz_dist_beam::handshake::name_message("app@n1", 1);
    let name = [&(name.len() as u16).to_be_bytes()[..], &name].concat();
    assert_eq!(net.send(link, 100, &name), name);
    assert_eq!(net.heal().len(), 1);
    let _ = net.arm_now(&message_to("late"), &hold());
    let more = b"\0\x01r";
    assert_eq!(net.send(link, 100 + name.len(), more), more, "nothing is missing before it");
}
