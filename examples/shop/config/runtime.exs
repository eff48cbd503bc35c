import Config

peers = "PEERS" |> System.get_env("") |> String.split(",", trim: true)

config :shop,
  peers: Enum.map(peers, &String.to_atom/1),
  port: String.to_integer(System.get_env("PORT", "4000")),
  exchange: System.get_env("SHOP_EXCHANGE", "true") == "true"
