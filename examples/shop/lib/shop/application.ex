defmodule Shop.Application do
  @moduledoc false
  use Application

  @impl true
  def start(_type, _args) do
    env = &Application.fetch_env!(:shop, &1)
    children = [{Shop.Cart, env.(:exchange)}, {Shop.Peers, env.(:peers)}, {Shop.Health, env.(:port)}]
    Supervisor.start_link(children, strategy: :one_for_one, name: Shop.Supervisor)
  end
end
