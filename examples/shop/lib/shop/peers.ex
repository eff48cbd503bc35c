defmodule Shop.Peers do
  @moduledoc "Connects to the other nodes, again and again."
  use GenServer

  @every_ms 500

  def start_link(peers), do: GenServer.start_link(__MODULE__, peers, name: __MODULE__)

  @doc "Whether every other node is connected."
  def connected?, do: Enum.all?(Application.fetch_env!(:shop, :peers), &(&1 in [node() | Node.list()]))

  @impl true
  def init(peers), do: {:ok, peers, {:continue, :connect}}

  @impl true
  def handle_continue(:connect, peers), do: connect(peers)

  @impl true
  def handle_info(:connect, peers), do: connect(peers)

  defp connect(peers) do
    # Each in a process of its own: one that is cut off keeps nobody waiting.
    for peer <- peers -- [node() | Node.list()], do: spawn(fn -> Node.connect(peer) end)
    Process.send_after(self(), :connect, @every_ms)
    {:noreply, peers}
  end
end
