"""Products made of people, with a launch whose effect is known: what the launch verdict is measured on."""
